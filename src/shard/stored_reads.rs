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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn places_are_limited() {
        let reads = StoredReads::new(Arc::new(MemoryStorage::default()));
        let mut places: Vec<_> = (0..MAX_WAITING).map(|_| reads.place().expect("there is room")).collect();
        assert!(reads.place().is_none());
        places.pop();
        assert!(reads.place().is_some());
    }

    #[tokio::test]
    async fn few_read_at_a_time_and_nobody_waits_for_ever() {
        let reads = StoredReads::new(Arc::new(MemoryStorage::default()));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..50).map(|_| {
            let (now, most) = (now.clone(), most.clone());
            reads.run("a record", Instant::now() + Duration::from_secs(60), move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        });
        assert!(futures_util::future::join_all(all).await.into_iter().all(|read| read.is_ok()));
        assert!((1..=MAX_READS).contains(&most.load(Ordering::SeqCst)));
        let taken = reads.reads.clone().acquire_many_owned(MAX_READS as u32).await;
        let late = reads.run("a record", Instant::now(), |_| Ok(())).await;
        assert!(matches!(late, Err(Error::Unavailable(_))));
        drop(taken);
    }
}
