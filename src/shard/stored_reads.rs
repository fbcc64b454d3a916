//! Reads of storage, on threads of their own and limited in number, so that a slow disk delays only who waits for it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::engine::StoredKey;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::storage::Storage;

/// The most reads at a time.
const MAX_READS: usize = 4;
/// The most requests that wait for a read or have one.
const MAX_WAITING: usize = 1_024;

/// The reads of a shard's storage.
pub struct StoredReads {
    storage: Arc<dyn Storage>,
    reads: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl StoredReads {
    /// Prepares reads of a storage.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        let [reads, places] = [MAX_READS, MAX_WAITING].map(|limit| Arc::new(Semaphore::new(limit)));
        StoredReads { storage, reads, places }
    }

    /// A place among those that wait, until it is dropped; `None` when there is none left.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// Reads the value of a key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when storage does not answer before `expires`, [`Error::Internal`] that names the record
    /// when it cannot be read.
    pub async fn read(&self, key: &StoredKey, expires: Instant) -> Result<Option<Vec<u8>>> {
        let bytes = key.bytes().to_vec();
        self.run(key, expires, move |storage| storage.get(&bytes)).await
    }

    /// Reads what `read` wants, for the errors called `what`.
    ///
    /// # Errors
    /// As for [`StoredReads::read`].
    pub async fn run<T: Send + 'static>(
        &self,
        what: impl fmt::Display,
        expires: Instant,
        read: impl FnOnce(&dyn Storage) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let late = |_| Error::Unavailable("storage did not answer in time; nothing was applied".into());
        let failed = |error: &dyn fmt::Display| {
            tracing::error!(%what, %error, "storage cannot be read");
            Error::Internal(format!("{what} cannot be read from storage"))
        };
        let permit = timeout_at(expires, self.reads.clone().acquire_owned()).await.map_err(late)?;
        let permit = permit.expect("the semaphore is never closed");
        let storage = self.storage.clone();
        let read = tokio::task::spawn_blocking(move || {
            fail_point::stall("stored_read");
            let value = read(&*storage);
            drop(permit);
            value
        });
        let value = timeout_at(expires, read).await.map_err(late)?.map_err(|error| failed(&error))?;
        value.map_err(|error| failed(&error))
    }
}
