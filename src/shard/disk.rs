//! Watches the free space on the disk. Below the limit, writes are refused before they are applied, so that a full
//! disk never fails a commit.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The free space below which writes are refused by default, in bytes: 256 MiB.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 256 << 20;
/// The interval of the checks. Even at full speed, much less than the default limit is written in between.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The free space at the last check, in bytes.
#[derive(Debug, Default)]
pub struct FreeSpace(AtomicU64);

impl FreeSpace {
    /// Reads the free space of the file system that holds a directory. On an error it counts as full.
    pub fn look(&self, directory: &Path) -> u64 {
        let bytes = rustix::fs::statvfs(directory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        self.0.store(bytes, Ordering::Relaxed);
        bytes
    }

    /// The free space at the last check, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
