//! The choice of storage: `--storage`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::backend::Storage;
use super::fjall::{FjallStorage, VERSION_FILE};
use super::log::{LOG_DIRECTORY, LogStorage, MANIFEST, Space};
use super::memory::MemoryStorage;
use crate::error::{Error, Invalid, Result};

/// The storage that a shard uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A commit log on the local disk, with tables behind it.
    Log,
    /// fjall alone, with its own journal: what the log is compared with in benchmarks.
    Fjall,
    /// Memory only: all is lost when the process ends. For benchmarks.
    Memory,
}

impl StorageKind {
    /// True when a shard's data directory has data of this storage, damaged or not. A directory alone is none: it may be the
    /// mount point of a disk that is not there.
    pub fn is_in(self, directory: &Path) -> bool {
        match self {
            StorageKind::Log => directory.join(LOG_DIRECTORY).join(MANIFEST).exists(),
            StorageKind::Fjall => directory.join("fjall").join(VERSION_FILE).exists(),
            StorageKind::Memory => false,
        }
    }

    /// The most file descriptors that it keeps, where a commit log has at most `log_bytes`.
    pub fn descriptors(self, log_bytes: u64) -> u64 {
        match self {
            StorageKind::Log => LogStorage::descriptors(log_bytes),
            StorageKind::Fjall => FjallStorage::DESCRIPTORS,
            StorageKind::Memory => 0,
        }
    }

    /// Opens the storage in a shard's data directory; a commit log keeps to the space.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be opened.
    pub fn open(self, directory: &Path, space: Space) -> Result<Arc<dyn Storage>> {
        Ok(match self {
            StorageKind::Log => Arc::new(LogStorage::open(directory, space)?),
            StorageKind::Fjall => Arc::new(FjallStorage::open(&directory.join("fjall"))?),
            StorageKind::Memory => Arc::new(MemoryStorage::default()),
        })
    }
}

impl fmt::Display for StorageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorageKind::Log => "log",
            StorageKind::Fjall => "fjall",
            StorageKind::Memory => "memory",
        })
    }
}

impl FromStr for StorageKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "log" => Ok(StorageKind::Log),
            "fjall" => Ok(StorageKind::Fjall),
            "memory" => Ok(StorageKind::Memory),
            other => Err(Invalid::general(format!("`{other}` is neither log nor memory")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::MIN_LOG_BYTES;

    #[test]
    fn data_is_there_once_a_storage_was_opened_and_not_in_empty_directories() {
        for (kind, directories) in [(StorageKind::Log, &["log", "tables"][..]), (StorageKind::Fjall, &["fjall"])] {
            let directory = tempfile::tempdir().unwrap();
            let is_there = || kind.is_in(directory.path());
            assert!(!is_there());
            for name in directories {
                fs::create_dir(directory.path().join(name)).unwrap();
            }
            assert!(!is_there(), "{kind}");
            drop(kind.open(directory.path(), Space { log_bytes: MIN_LOG_BYTES, min_free: 0 }).unwrap());
            assert!(is_there(), "{kind}");
        }
        assert!(!StorageKind::Memory.is_in(Path::new("/")));
    }
}
