//! Crashes, lost answers, full disks and many clients at once: nothing is lost, doubled or oversold.

mod absence;
mod cancel;
mod concurrency;
mod crash;
mod damage;
mod disk_full;
mod down;
mod hostile_peer;
mod linearizability;
mod memory_limit;
mod resend;
mod saga;
mod slow_disk;
mod slow_gateway;
mod stalled_log;
