//! The payments on disk. One thread applies the requests in their order and syncs what has gathered; an answer leaves
//! after the sync, so what the gateway said is still so after a crash.

use std::path::Path;
use std::thread::{self, JoinHandle};

use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::rules::{Outcome, Payment, Request, apply};
use crate::error::{Error, Result};
use crate::payment::{Answer, State};
use crate::process::files::failed_to;
use crate::process::logging;
use crate::process::same_file::{Found, SameFile};
use crate::storage::VERSION_FILE;

/// The most requests that wait for the ledger.
const MAX_WAITING: usize = 4_096;
/// The most requests of one sync.
const MAX_BATCH: usize = 256;
/// The most payments that are kept. Past that, requests about new ones get 503.
const MAX_PAYMENTS: u64 = 10_000_000;
/// The size of the block cache, in bytes.
const CACHE_BYTES: u64 = 4 << 20;
/// The size past which the memtable is flushed from memory to a file, in bytes.
const MEMTABLE_BYTES: u64 = 4 << 20;
/// The size of the journals on disk past which memtables are flushed, in bytes: the least that fjall accepts.
const JOURNAL_BYTES: u64 = 64 << 20;
/// The most files kept open.
const OPEN_FILES: usize = 32;

/// The status and the body of an answer; `None` when the gateway stays silent.
pub type Said = Option<(StatusCode, Answer)>;

/// The numbers of payments by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    authorised: u64,
    captured: u64,
    refunded: u64,
    refused: u64,
    voided: u64,
}

/// The access of other threads to the ledger.
#[derive(Clone)]
pub struct Ledger(mpsc::Sender<Job>);

enum Job {
    Ask { order: Uuid, request: Request, reply: oneshot::Sender<Said> },
    Count(oneshot::Sender<Counts>),
}

impl Ledger {
    /// True when a directory has a ledger. An empty one has none: what was in it is gone.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(VERSION_FILE).exists()
    }

    /// Opens or makes the ledger in a directory, and starts its thread, which ends after the last clone is dropped.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be opened or read.
    pub fn open(directory: &Path) -> Result<(Self, JoinHandle<()>)> {
        let mut book = Book::open(directory)?;
        let (ledger, waiting) = Self::queue();
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || book.work(waiting))
            .map_err(|error| Error::Internal(format!("cannot start the ledger: {error}")))?;
        Ok((ledger, thread))
    }

    fn queue() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(MAX_WAITING);
        (Ledger(jobs), waiting)
    }

    /// Applies a request about an order's payment. The answer is durable. `None` when the ledger has ended.
    pub async fn ask(&self, order: Uuid, request: Request) -> Option<Said> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Job::Ask { order, request, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Counts the payments. `None` when the ledger has ended.
    pub async fn counts(&self) -> Option<Counts> {
        let (reply, counts) = oneshot::channel();
        self.0.send(Job::Count(reply)).await.ok()?;
        counts.await.ok()
    }
}

impl Counts {
    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Authorised => &mut self.authorised,
            State::Captured => &mut self.captured,
            State::Refunded => &mut self.refunded,
            State::Refused => &mut self.refused,
            State::Voided => &mut self.voided,
        }
    }

    fn all(&self) -> u64 {
        self.authorised + self.captured + self.refunded + self.refused + self.voided
    }
}

/// The payments by order, and their numbers.
struct Book {
    database: Database,
    payments: Keyspace,
    counts: Counts,
    version: SameFile,
}

impl Book {
    fn open(directory: &Path) -> Result<Self> {
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(|error| fault("open", &error))?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let payments = database.keyspace("payments", options).map_err(|error| fault("open", &error))?;
        let version = directory.join(VERSION_FILE);
        let version = SameFile::at(&version).map_err(failed_to("open", &version))?;
        let mut book = Book { database, payments, counts: Counts::default(), version };
        for guard in book.payments.iter() {
            let (_, value) = Guard::into_inner(guard).map_err(|error| fault("read", &error))?;
            *book.counts.of(decode(&value)?.state) += 1;
        }
        // What was read may so far be in the page cache only.
        book.sync()?;
        Ok(book)
    }

    fn work(&mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while next(&mut waiting, &mut batch) {
            if let Err(error) = self.answer(&mut batch) {
                // What is on disk is unknown now. The next start reads it.
                tracing::error!(%error, "the ledger of payments failed");
                logging::abort();
            }
        }
    }

    /// Applies requests, syncs what they changed, and answers them.
    fn answer(&mut self, batch: &mut Vec<Job>) -> Result<()> {
        let (mut said, mut is_changed) = (Vec::with_capacity(batch.len()), false);
        for job in batch.drain(..) {
            match job {
                Job::Ask { order, request, reply } => {
                    let outcome = self.apply(order, &request)?;
                    is_changed |= outcome.changed.is_some();
                    said.push((outcome.answer, reply));
                }
                // Nobody may wait for it any more.
                Job::Count(reply) => _ = reply.send(self.counts),
            }
        }
        if is_changed {
            self.sync()?;
            self.check_directory()?;
        }
        for (answer, reply) in said {
            let _ = reply.send(answer);
        }
        Ok(())
    }

    fn apply(&mut self, order: Uuid, request: &Request) -> Result<Outcome> {
        let known = self.payments.get(order.as_bytes()).map_err(|error| fault("read", &error))?;
        let known = known.map(|value| decode(&value)).transpose()?;
        let outcome = apply(order, known.as_ref(), request);
        if let Some(changed) = &outcome.changed {
            match &known {
                Some(known) => *self.counts.of(known.state) -= 1,
                None if self.counts.all() >= MAX_PAYMENTS => return Ok(full()),
                None => {}
            }
            *self.counts.of(changed.state) += 1;
            let value = serde_json::to_vec(changed).map_err(|error| Error::Internal(error.to_string()))?;
            self.payments.insert(order.as_bytes(), value).map_err(|error| fault("write", &error))?;
        }
        Ok(outcome)
    }

    /// Refuses to go on when the directory was emptied or replaced: what is synced to removed files is lost.
    fn check_directory(&self) -> Result<()> {
        match self.version.look() {
            Found::Same => Ok(()),
            Found::Nothing | Found::Other => {
                let file = self.version.path().display();
                Err(Error::Internal(format!("{file} is gone: the payments were removed while the gateway ran")))
            }
        }
    }

    fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| fault("sync", &error))
    }
}

/// Waits for requests, and takes those of one sync; false when there are no more.
fn next(waiting: &mut mpsc::Receiver<Job>, batch: &mut Vec<Job>) -> bool {
    waiting.blocking_recv_many(batch, MAX_BATCH) > 0
}

fn full() -> Outcome {
    let reason = Some("the gateway keeps no more payments".to_owned());
    let answer = Answer { status: None, transaction_id: None, reason };
    Outcome { changed: None, answer: Some((StatusCode::SERVICE_UNAVAILABLE, answer)) }
}

fn decode(value: &[u8]) -> Result<Payment> {
    serde_json::from_slice(value).map_err(|error| Error::Internal(format!("a payment does not decode: {error}")))
}

fn fault(what: &str, error: &fjall::Error) -> Error {
    Error::Internal(format!("fjall could not {what} the payments: {error:?}"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn payments_and_their_numbers_are_there_after_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let authorise = Request::Authorise { amount: "1.00".into(), last_four: "4242".into(), refuse: false };
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let status = |said: Option<Said>| said.unwrap().unwrap().0.as_u16();
        let (ledger, thread) = Ledger::open(directory.path()).unwrap();
        assert_eq!(status(ledger.ask(one, authorise.clone()).await), 200);
        assert_eq!(status(ledger.ask(one, Request::Capture).await), 200);
        assert_eq!(status(ledger.ask(other, Request::Void).await), 200);
        drop(ledger);
        thread.join().unwrap();
        let (ledger, _thread) = Ledger::open(directory.path()).unwrap();
        let expected = Counts { captured: 1, voided: 1, ..Counts::default() };
        assert_eq!(ledger.counts().await, Some(expected));
        assert_eq!(status(ledger.ask(other, authorise).await), 402);
        assert_eq!(status(ledger.ask(Uuid::from_u128(3), Request::Lookup).await), 404);
    }

    #[test]
    fn a_full_ledger_refuses_new_payments_and_goes_on_with_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut book = Book::open(directory.path()).unwrap();
        let (known, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let authorise = Request::Authorise { amount: "1.00".into(), last_four: "4242".into(), refuse: false };
        let mut status = |order, request: &Request| book.apply(order, request).unwrap().answer.unwrap().0.as_u16();
        assert_eq!(status(known, &authorise), 200);
        book.counts.captured += MAX_PAYMENTS - 1;
        let mut status = |order, request: &Request| book.apply(order, request).unwrap().answer.unwrap().0.as_u16();
        for request in [&authorise, &Request::Void] {
            assert_eq!(status(new, request), 503, "{request:?}");
        }
        assert_eq!(status(new, &Request::Lookup), 404);
        assert_eq!(status(known, &Request::Void), 200);
        assert_eq!(book.counts.all(), MAX_PAYMENTS);
    }

    #[test]
    fn requests_past_those_of_one_sync_wait_for_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let mut book = Book::open(directory.path()).unwrap();
        let (ledger, mut waiting) = Ledger::queue();
        let mut asked: Vec<_> =
            (0..=MAX_BATCH).map(|order| Box::pin(ledger.ask(Uuid::from_u128(order as u128), Request::Void))).collect();
        asked.iter_mut().for_each(|answer| assert!(answer.now_or_never().is_none()));
        let mut batch = Vec::new();
        let mut sync = || {
            assert!(next(&mut waiting, &mut batch));
            book.answer(&mut batch).unwrap();
            asked.retain_mut(|answer| answer.now_or_never().is_none());
            asked.len()
        };
        assert_eq!(sync(), 1, "one waits for the next");
        assert_eq!(sync(), 0);
    }

    /// Not in a runtime, which lets one task take only so much before it has to wait.
    #[test]
    fn requests_past_the_queue_wait_for_a_place_in_it() {
        let (ledger, mut waiting) = Ledger::queue();
        let mut asked: Vec<_> = (0..=MAX_WAITING).map(|_| Box::pin(ledger.counts())).collect();
        asked.iter_mut().for_each(|count| assert!(count.now_or_never().is_none()));
        assert_eq!(waiting.len(), MAX_WAITING);
        drop(waiting.recv().now_or_never().expect("the queue is full"));
        assert!(asked.last_mut().unwrap().now_or_never().is_none());
        assert_eq!(waiting.len(), MAX_WAITING, "the last one took the place");
    }
}
