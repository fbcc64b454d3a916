//! Makes batches durable one at a time. While one is written and synced, commands fill the next.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::outbox::Waiter;
use super::writer::Writer;
use crate::error::Result;
use crate::process::fail_point;
use crate::process::histogram::Histogram;
use crate::process::logging;
use crate::storage::Storage;

/// The checks of a commit under way, in its time limit, and the longest time between two.
const CHECKS_IN_TIMEOUT: u32 = 10;
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The time past which a checkpoint is logged as slow.
const SLOW_CHECKPOINT: Duration = Duration::from_secs(10);

/// The writer, shared by the thread that runs commands and the thread that commits.
pub struct SharedWriter {
    writer: Mutex<Writer>,
    /// Signalled when the open batch has something to commit, and when everything is durable.
    changed: Condvar,
    storage: Arc<dyn Storage>,
    /// The durations of commits.
    pub commit_latency: Histogram,
}

impl SharedWriter {
    /// Shares a writer.
    pub fn new(writer: Writer, storage: Arc<dyn Storage>) -> Arc<Self> {
        Arc::new(SharedWriter {
            writer: Mutex::new(writer),
            changed: Condvar::new(),
            storage,
            commit_latency: Histogram::default(),
        })
    }

    /// Locks the writer.
    pub fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits the writes of the commands that just ran. With durable storage the committer does so in its own thread;
    /// volatile storage commits at once.
    pub fn commit(&self, mut writer: MutexGuard<'_, Writer>) {
        if !writer.has_work() {
            return;
        }
        if !self.storage.is_volatile() {
            drop(writer);
            self.changed.notify_all();
            return;
        }
        if let Some(batch) = writer.seal() {
            self.store_or_abort(&batch);
            let done = writer.committed();
            drop(writer);
            Waiter::wake_all(done);
        }
    }

    /// Waits until every accepted write is durable. False when that takes longer.
    pub fn finish(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |writer| !writer.is_idle());
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Starts the committer's thread and the one that watches it. Both end with the process.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self: &Arc<Self>, commit_timeout: Duration) -> std::io::Result<()> {
        let shared = self.clone();
        thread::Builder::new().name("committer".into()).spawn(move || shared.commit_forever())?;
        let storage = self.storage.clone();
        thread::Builder::new().name("watchdog".into()).spawn(move || watch(&*storage, commit_timeout))?;
        Ok(())
    }

    fn commit_forever(&self) {
        loop {
            let mut writer = self.lock();
            let batch = loop {
                match writer.seal() {
                    Some(batch) => break batch,
                    None => writer = self.changed.wait(writer).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(writer);
            self.store_or_abort(&batch);
            let mut writer = self.lock();
            let done = writer.committed();
            let idle = writer.is_idle();
            drop(writer);
            Waiter::wake_all(done);
            if idle {
                self.changed.notify_all();
            }
        }
    }

    /// Stores a batch. After a failed commit it is unknown what is on disk, so the process ends, and the next
    /// one loads what is durable.
    fn store_or_abort(&self, batch: &Batch) {
        let started = Instant::now();
        if let Err(error) = self.store(batch) {
            tracing::error!(%error, "a commit failed: ending, so that the next start loads what is durable");
            logging::abort();
        }
        self.commit_latency.observe(started.elapsed());
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        self.storage.commit(batch.writes(), batch.sequence()).into_result()?;
        fail_point::hit("committed");
        Ok(())
    }
}

/// Watches what waits for the disk. Ends the process when a commit is not finished in time: what waits for it gets an
/// answer, and the next start finds out what is durable.
fn watch(storage: &dyn Storage, timeout: Duration) {
    let mut is_slow = false;
    loop {
        thread::sleep((timeout / CHECKS_IN_TIMEOUT).min(MAX_CHECK_INTERVAL));
        if storage.write_time().is_some_and(|time| time >= timeout) {
            tracing::error!(?timeout, "the disk has not finished a commit in time: ending");
            logging::abort();
        }
        let was_slow = std::mem::replace(&mut is_slow, storage.checkpoint_time() >= Some(SLOW_CHECKPOINT));
        match (was_slow, is_slow) {
            (false, true) => {
                tracing::warn!(limit = ?SLOW_CHECKPOINT, "a checkpoint is slow: commits go on until the log is full");
            }
            (true, false) => tracing::info!("the slow checkpoint has gone on"),
            (false, false) | (true, true) => {}
        }
    }
}
