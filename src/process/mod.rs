//! Services for every process of the store: logs, signals, files, sockets, announcements to the process that started it,
//! pauses between attempts, TLS, scheduling, memory, free disk space, core dumps, overwritten
//! memory, latency histograms.

pub mod announce;
pub mod backoff;
pub mod core_dumps;
pub mod descriptors;
pub mod disk_space;
pub mod fail_point;
pub mod files;
pub mod heartbeat;
pub mod histogram;
pub mod line_writer;
pub mod logging;
pub mod memory;
pub mod overwrite;
pub mod retry_after;
mod rotated_file;
pub mod same_file;
pub mod scheduling;
pub mod shutdown;
pub mod tls;
pub mod unix_socket;
