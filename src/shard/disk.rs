//! Watches the free space on the disk. Below the limits, writes are refused before they are applied, so that a full disk
//! never fails a commit.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::process::disk_space::Free;
use crate::process::fail_point;

/// The free space below which writes are refused by default, in bytes: 256 MiB.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 256 << 20;
/// The number of files that a file system must still be able to take. A checkpoint makes a few.
const MIN_FREE_FILES: u64 = 128;
/// The interval of the checks. Even at full speed, much less than the default limit is written in between.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The interval of attempts to write a file: a quota shows only then.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// The name and the size in bytes of the file that is written.
const PROBE: &str = "probe";
const PROBE_BYTES: usize = 4_096;

/// The disk of a data directory, and the space that has to stay free on it.
#[derive(Debug, Clone)]
pub struct DiskLimit {
    /// The data directory.
    pub directory: PathBuf,
    /// The bytes that have to stay free.
    pub min_free: u64,
}

impl DiskLimit {
    /// What is free. On an error the disk counts as full.
    pub fn free(&self) -> Free {
        Free::of(&self.directory)
    }

    /// True when that leaves room for writes.
    pub fn allows(&self, free: Free) -> bool {
        free.bytes >= self.min_free && free.files.is_none_or(|files| files >= MIN_FREE_FILES)
    }

    /// Refuses to write more when there is no room.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn check(&self) -> Result<()> {
        let free = self.free();
        if self.allows(free) {
            return Ok(());
        }
        Err(Error::Unavailable(format!(
            "{}: the disk is nearly full ({free:?} of at least {} bytes and {MIN_FREE_FILES} files)",
            self.directory.display(),
            self.min_free
        )))
    }

    /// Tries to write a file, and removes it.
    ///
    /// # Errors
    /// Those of the file system, as when a quota is used up.
    pub fn probe(&self) -> std::io::Result<()> {
        let path = self.directory.join(PROBE);
        fail_point::fail("probe")?;
        let written = File::create(&path).and_then(|mut file| file.write_all(&[0; PROBE_BYTES]));
        // An error means that it was not made.
        let _ = fs::remove_file(&path);
        written
    }
}

/// The free space at the last check, in bytes.
#[derive(Debug, Default)]
pub struct FreeSpace(AtomicU64);

impl FreeSpace {
    /// Notes the free space.
    pub fn note(&self, free: Free) {
        self.0.store(free.bytes, Ordering::Relaxed);
    }

    /// The free space at the last check, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_both_have_to_be_free() {
        let limit = DiskLimit { directory: PathBuf::new(), min_free: 100 };
        for (bytes, files, allowed) in [
            (100, Some(MIN_FREE_FILES), true),
            (100, None, true),
            (99, None, false),
            (99, Some(1_000_000), false),
            (1_000_000, Some(MIN_FREE_FILES - 1), false),
        ] {
            assert_eq!(limit.allows(Free { bytes, files }), allowed, "{bytes} bytes, {files:?} files");
        }
        assert!(matches!(limit.check(), Err(Error::Unavailable(_))), "what cannot be asked is full");
    }

    #[test]
    fn a_probe_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let limit = DiskLimit { directory: directory.path().to_owned(), min_free: 0 };
        limit.probe().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(DiskLimit { directory: directory.path().join("none"), min_free: 0 }.probe().is_err());
    }
}
