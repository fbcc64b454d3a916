//! The storage of one shard as a trait. Writing and syncing are separate, so that a test double can drop
//! writes that were not synced.

use super::record::Write;
use crate::error::Result;

/// Receives the key and the value of each loaded record.
pub type Loaded<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// Durable storage of one shard. One thread writes; others may call `get` at the same time.
pub trait Storage: Send + Sync + 'static {
    /// Calls `each` with every stored key and value.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when storage cannot be read, or the first error of `each`.
    fn load(&self, each: &mut Loaded<'_>) -> Result<()>;

    /// The value of a key, synced or not.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when storage cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Writes a batch atomically: after a crash, all of it or nothing is stored.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal). It is then unknown what is stored, so the process must end.
    fn write(&self, batch: &[Write]) -> Result<()>;

    /// Makes all earlier writes durable.
    ///
    /// # Errors
    /// As for [`Storage::write`].
    fn sync(&self) -> Result<()>;

    /// True when nothing stored outlives the process, so that a commit costs nothing.
    fn is_volatile(&self) -> bool;
}
