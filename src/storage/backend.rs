//! The storage of one shard as a trait. Writing and syncing are apart, so that a test double can drop
//! what was written and not synced.

use super::record::Write;
use crate::error::Result;

/// Takes the key and the value of a record that is loaded.
pub type Loaded<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// Durable storage of one shard. One thread writes; `get` may be called beside it.
pub trait Storage: Send + Sync + 'static {
    /// Calls `each` with the key and value of everything that is stored.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when storage cannot be read, or the first error of `each`.
    fn load(&self, each: &mut Loaded<'_>) -> Result<()>;

    /// The value of a key, synced or not.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when storage cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Writes all of a batch or, after a crash, nothing of it.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal); nobody then knows what is stored, and the process must end.
    fn write(&self, batch: &[Write]) -> Result<()>;

    /// Everything written before is durable when this returns.
    ///
    /// # Errors
    /// As for [`Storage::write`].
    fn sync(&self) -> Result<()>;

    /// True when nothing outlives the process, so that a commit costs nothing.
    fn is_volatile(&self) -> bool;
}
