//! Crashes, lost answers, full disks and many clients at once: nothing is lost, doubled or oversold.

/// Declares tests, each of which lets a shard die at some of its fail points, with the `dies_at` of its file.
macro_rules! deaths {
    ($($name:ident: $shard:expr, $points:expr;)*) => {$(
        #[test]
        fn $name() {
            $points.iter().for_each(|point| dies_at($shard, point));
        }
    )*};
}

mod absence;
mod cancel;
mod checkout;
mod compaction;
mod concurrency;
mod crash;
mod damage;
mod disk_full;
mod down;
mod flapping;
mod hostile_peer;
mod linearizability;
mod memory_limit;
mod resend;
mod saga;
mod slow_disk;
mod slow_gateway;
mod stalled_disk;
mod stalled_log;
mod wrong_clock;
