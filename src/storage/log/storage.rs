//! Storage in a commit log with tables behind it: commits are appended to the log, background threads
//! make files for it and move what is in sealed ones to the tables.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::content::Content;
use super::disk::{Disk, LocalDisk};
use super::manifest::{MANIFEST, MAX_FILES};
use super::ring::Sizes;
use super::survey::fault;
use super::tables::{self, Newest};
use crate::error::{Error, Result};
use crate::storage::backend::{Loaded, Outcome, Page, Storage};
use crate::storage::record::{RecordKind, Write};

/// The directory of the log in a shard's data directory.
pub const LOG_DIRECTORY: &str = "log";
/// The directory of the tables.
pub const TABLES_DIRECTORY: &str = "tables";
/// Bytes of a log by default.
pub const DEFAULT_LOG_BYTES: u64 = 256 << 20;
/// The least bytes of a log: half of a file has to hold what one command writes.
pub const MIN_LOG_BYTES: u64 = 32 << 20;
/// The most bytes of a log.
pub const MAX_LOG_BYTES: u64 = MAX_FILES as u64 * MAX_FILE_BYTES;
/// The most bytes of a file.
pub const MAX_FILE_BYTES: u64 = 16 << 20;
/// The files of a log that is too small for files of the most bytes.
const LEAST_FILES: u64 = 16;
/// The file descriptors of an open file: one to write, one to read.
const FILE_DESCRIPTORS: u64 = 2;
/// The idle time after which the manifest notes how far the log reaches.
const IDLE: Duration = Duration::from_millis(50);
/// The pause after background work that failed; it grows up to the second one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// The space on its disk that a shard takes and leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The most bytes of the log.
    pub log_bytes: u64,
    /// The free bytes that compaction of the tables leaves.
    pub min_free: u64,
}

/// A shard's commit log and tables.
pub struct LogStorage {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    content: Content,
    stops: AtomicBool,
    /// The times that background work failed.
    failures: AtomicU64,
}

impl LogStorage {
    /// The most file descriptors that a log of at most `log_bytes` keeps, with its tables.
    pub fn descriptors(log_bytes: u64) -> u64 {
        FILE_DESCRIPTORS * most_files(log_bytes) + tables::DESCRIPTORS
    }

    /// Opens or creates a log with its tables in a shard's data directory.
    ///
    /// # Errors
    /// [`Error::Internal`] when something cannot be opened, is missing or is damaged.
    pub fn open(directory: &Path, space: Space) -> Result<Self> {
        if directory.join("fjall").exists() {
            return Err(Error::Internal(format!(
                "{} was made before 0.1, whose format is another one: use an empty directory",
                directory.display()
            )));
        }
        let disk = LocalDisk::open(&directory.join(LOG_DIRECTORY), MANIFEST)
            .map_err(|error| Error::Internal(format!("cannot open the log in {}: {error}", directory.display())))?;
        let Space { log_bytes, min_free } = space;
        let files = most_files(log_bytes);
        let file_bytes = (log_bytes / files).min(MAX_FILE_BYTES).next_multiple_of(disk.unit() as u64);
        let max_files = u16::try_from(files).expect("it is at most MAX_FILES");
        let opened =
            Self::open_on(Box::new(disk), &directory.join(TABLES_DIRECTORY), Sizes { file_bytes, max_files, min_free });
        opened.map_err(|error| {
            let directory = directory.display();
            Error::Internal(format!("{error}; `shardcart repair --data {directory}` shows what can be kept"))
        })
    }

    /// Opens or creates a log on a disk.
    ///
    /// # Errors
    /// As for [`LogStorage::open`].
    pub fn open_on(disk: Box<dyn Disk>, tables: &Path, sizes: Sizes) -> Result<Self> {
        let content = Content::open(disk, tables, sizes)?;
        let shared = Arc::new(Shared { content, stops: AtomicBool::new(false), failures: AtomicU64::default() });
        // Two threads: a checkpoint that hangs must not keep commits from the files that the log may still have.
        let mut storage = LogStorage { shared, threads: Vec::new() };
        storage.start("log-files", Shared::make_files)?;
        storage.start("checkpoint", Shared::tidy)?;
        Ok(storage)
    }

    fn start(&mut self, name: &str, run: fn(&Shared)) -> Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || run(&shared));
        self.threads.push(thread.map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?);
        Ok(())
    }
}

impl Drop for LogStorage {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        self.shared.content.ring.wake();
        for thread in self.threads.drain(..) {
            // It has logged what it died of.
            let _ = thread.join();
        }
    }
}

impl Storage for LogStorage {
    fn sequence(&self) -> u64 {
        self.shared.content.ring.durable()
    }

    fn load(&self, kinds: &[RecordKind], slots: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()> {
        self.shared.content.ring.seal();
        let mut newest = Newest::default();
        // No commit waits for the device meanwhile.
        if let Err(error) = self.shared.content.checkpoint(1, |_| ()) {
            // A full disk must not keep a shard from starting: what is in the log is read from there.
            tracing::warn!(%error, "the log cannot be moved to the tables");
            for file in self.shared.content.ring.sealed() {
                self.shared.content.read_file(file, &mut newest)?;
            }
        }
        self.shared.content.tables.load(newest, kinds, slots, each)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.shared.content.get(key)
    }

    fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
        self.shared.content.scan(kind, slots, after, limit)
    }

    fn commit(&self, batch: &[Write], sequence: u64) -> Outcome {
        let position = match self.shared.content.ring.append(batch, sequence) {
            Ok(Some(position)) => position,
            Ok(None) => return Outcome::Fenced,
            Err(error) => return Outcome::Unknown(fault("cannot write to the log", &error)),
        };
        self.shared.content.note(batch, position);
        Outcome::Committed
    }

    fn write_time(&self) -> Option<Duration> {
        self.shared.content.ring.write_time()
    }

    fn checkpoint_time(&self) -> Option<Duration> {
        self.shared.content.checkpoint_time()
    }

    fn close(&self) -> Result<()> {
        self.shared.content.note_reached()
    }

    fn has_room(&self) -> bool {
        self.shared.content.ring.has_room()
    }

    fn background_failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    fn check_log(&self, part: usize) -> Result<Option<u64>> {
        let ring = &self.shared.content.ring;
        let Some(file) = ring.sealed().get(part).copied() else { return Ok(None) };
        match ring.read_file(file, &mut |_| {}) {
            // A checkpoint may have freed it meanwhile.
            Err(error) if ring.sealed().contains(&file) => Err(fault("cannot read the log", &error)),
            _ => Ok(Some(ring.file_bytes())),
        }
    }

    fn max_batch_bytes(&self) -> usize {
        usize::try_from(self.shared.content.ring.max_payload_bytes() / 2).unwrap_or(usize::MAX)
    }

    fn is_volatile(&self) -> bool {
        false
    }
}

/// The most files of a log of at most so many bytes.
fn most_files(log_bytes: u64) -> u64 {
    (log_bytes / MAX_FILE_BYTES).clamp(LEAST_FILES, MAX_FILES as u64)
}

impl Shared {
    /// One background thread: makes a file when none is free, up to the most.
    fn make_files(&self) {
        let ring = &self.content.ring;
        let mut pause = RETRY_PAUSE;
        while ring.wait_for_need(&self.stops) {
            match ring.make_file() {
                Ok(()) => pause = RETRY_PAUSE,
                Err(error) => self.note_failure(&fault("cannot make a file for the log", &error), &mut pause),
            }
        }
    }

    /// The other one: notes how far the log reaches, moves sealed files to the tables.
    fn tidy(&self) {
        let Content { ring, .. } = &self.content;
        let mut pause = RETRY_PAUSE;
        let mut seen = ring.durable();
        while !self.stops.load(Ordering::Acquire) {
            match self.tidy_once(&mut seen) {
                Ok(()) => {
                    pause = RETRY_PAUSE;
                    ring.wait(IDLE);
                }
                Err(error) => self.note_failure(&error, &mut pause),
            }
        }
        if let Err(error) = self.content.note_reached() {
            tracing::error!(%error, "the end of the log cannot be noted");
        }
    }

    fn tidy_once(&self, seen: &mut u64) -> Result<()> {
        let Content { ring, .. } = &self.content;
        self.content.checkpoint(self.content.files_at_once(), |busy| ring.leave_device(busy))?;
        let durable = ring.durable();
        if durable == *seen {
            self.content.note_reached()?;
        }
        *seen = durable;
        Ok(())
    }

    fn note_failure(&self, error: &Error, pause: &mut Duration) {
        tracing::error!(%error, "background work of the log failed; trying again");
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.content.ring.wait(*pause);
        *pause = (*pause * 2).min(MAX_RETRY_PAUSE);
    }
}
