//! Watches the room on the disk: below the limit writes are refused before anything is applied, so
//! that a full disk never fails a commit.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The room that must be left by default, in bytes: 256 MiB.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 256 << 20;
/// The interval of the checks. Even at full speed much less than the limit is written in between.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The free space at the last check, in bytes.
#[derive(Debug, Default)]
pub struct FreeSpace(AtomicU64);

impl FreeSpace {
    /// Looks at the file system that holds a directory. One that cannot be asked counts as full.
    pub fn look(&self, directory: &Path) -> u64 {
        let bytes = rustix::fs::statvfs(directory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        self.0.store(bytes, Ordering::Relaxed);
        bytes
    }

    /// The bytes that the last look saw.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
