//! The storage of one shard as a trait.

use super::record::Write;
use crate::error::Result;

/// Takes the key and the value of a record that is loaded.
pub type Loaded<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// The most bytes of a batch where storage itself has no limit.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// Durable storage of one shard. One thread commits; `get` may be called beside it.
pub trait Storage: Send + Sync + 'static {
    /// Calls `each` with the key and value of every record that a shard reads at its start. They are durable when this
    /// returns, also those that a process wrote that was killed.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when storage cannot be read, or the first error of `each`.
    fn load(&self, each: &mut Loaded<'_>) -> Result<()>;

    /// The value of a key that is read one by one, as of the last commit.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when storage cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Makes a batch durable: all of it when this returns, all or nothing of it after a crash.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal). Whether the batch is durable is then unknown, and the
    /// process must end.
    fn commit(&self, batch: &[Write]) -> Result<()>;

    /// Notes that everything is committed, at the end of a shard.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when that cannot be written; what was committed is durable
    /// all the same.
    fn close(&self) -> Result<()> {
        Ok(())
    }

    /// False while storage has to free space before it takes more writes.
    fn has_room(&self) -> bool {
        true
    }

    /// The bytes of keys and values at which a batch takes no more commands. One command more still fits.
    fn max_batch_bytes(&self) -> usize {
        MAX_BATCH_BYTES
    }

    /// True when nothing outlives the process, so that a commit costs nothing.
    fn is_volatile(&self) -> bool;
}
