//! Where records outlive the process: a small trait whose halves are apart, so that a test double
//! can drop what was written and not synced.

mod fjall;
mod memory;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::record::Record;

pub use fjall::FjallStorage;
pub use memory::MemoryStorage;

/// One effect of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The record replaces whatever its key held.
    Put(Record),
    /// The key holds nothing; the record's value is empty.
    Delete(Record),
}

impl Write {
    /// The record put, or the one deleted without its value.
    pub fn record(&self) -> &Record {
        match self {
            Write::Put(record) | Write::Delete(record) => record,
        }
    }
}

/// Takes the key and the value of a record that is loaded.
pub type Loaded<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// Durable storage of one shard. One thread writes; `get` may be called beside it.
pub trait Storage: Send + Sync + 'static {
    /// Calls `each` with the key and value of everything that is stored.
    ///
    /// # Errors
    /// [`Error::Fault`] when storage cannot be read, or the first error of `each`.
    fn load(&self, each: &mut Loaded<'_>) -> Result<()>;

    /// What a key holds, synced or not.
    ///
    /// # Errors
    /// [`Error::Fault`] when storage cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Writes all of a batch or, after a crash, nothing of it.
    ///
    /// # Errors
    /// [`Error::Fault`]; nobody then knows what is stored, and the process must end.
    fn write(&self, batch: &[Write]) -> Result<()>;

    /// Everything written before is durable when this returns.
    ///
    /// # Errors
    /// As for [`Storage::write`].
    fn sync(&self) -> Result<()>;

    /// Whether nothing outlives the process, so that a commit costs nothing.
    fn is_volatile(&self) -> bool;
}

/// Which storage a shard uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A log-structured store on the local disk.
    Fjall,
    /// None: all is lost when the process ends. For benchmarks.
    Memory,
}

impl StorageKind {
    /// Opens the storage in a shard's data directory.
    ///
    /// # Errors
    /// [`Error::Fault`] when it cannot be opened.
    pub fn open(self, directory: &Path) -> Result<Arc<dyn Storage>> {
        Ok(match self {
            StorageKind::Fjall => Arc::new(FjallStorage::open(&directory.join("fjall"))?),
            StorageKind::Memory => Arc::new(MemoryStorage::default()),
        })
    }
}

impl fmt::Display for StorageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorageKind::Fjall => "fjall",
            StorageKind::Memory => "memory",
        })
    }
}

impl FromStr for StorageKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "fjall" => Ok(StorageKind::Fjall),
            "memory" => Ok(StorageKind::Memory),
            other => Err(Error::Invalid(format!("`{other}` is neither fjall nor memory"))),
        }
    }
}
