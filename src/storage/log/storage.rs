//! Storage in a commit log with tables behind it: commits are appended to the log, a background thread moves what
//! is in sealed files to the tables.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::disk::{Disk, LocalDisk};
use super::manifest::{LiveFile, MANIFEST, MAX_FILES};
use super::mark::Mark;
use super::recovery;
use super::ring::{Position, Ring, Sizes};
use super::survey::fault;
use super::tables::{self, Newest, Tables};
use crate::error::{Error, Result};
use crate::storage::backend::{Loaded, Outcome, Page, Storage, as_slices, keys_after};
use crate::storage::record::{COUNTER_KEY, Record, RecordKind, Write, kind_of};

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
/// Files that go to the tables together, so that a key that changes often is written once.
const FILES_AT_ONCE: usize = 4;
/// Bytes of keys and values that go to the tables together at most, but for the last file's.
const CHECKPOINT_BYTES: usize = 64 << 20;
/// The idle time after which the manifest notes how far the log reaches.
const IDLE: Duration = Duration::from_millis(50);
/// The pause after a checkpoint that failed; it grows up to the second one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Where the newest effect of a key lies; only of keys that are read one by one.
type Index = BTreeMap<Box<[u8]>, Position>;

/// A shard's commit log and tables.
pub struct LogStorage {
    shared: Arc<Shared>,
    checkpoint: Option<JoinHandle<()>>,
}

struct Shared {
    ring: Ring,
    tables: Tables,
    index: Mutex<Index>,
    /// One checkpoint at a time: the background thread's, or that of a load.
    checkpoint: Mutex<()>,
    files_at_once: usize,
    stops: AtomicBool,
    /// The checkpoints that failed.
    failures: AtomicU64,
}

impl LogStorage {
    /// The most file descriptors that a log of at most `log_bytes` keeps, with its tables.
    pub fn descriptors(log_bytes: u64) -> u64 {
        FILE_DESCRIPTORS * most_files(log_bytes) + tables::DESCRIPTORS
    }

    /// Opens or creates a log of at most `log_bytes`, with its tables, in a shard's data directory.
    ///
    /// # Errors
    /// [`Error::Internal`] when something cannot be opened, is missing or is damaged.
    pub fn open(directory: &Path, log_bytes: u64) -> Result<Self> {
        if directory.join("fjall").exists() {
            return Err(Error::Internal(format!(
                "{} was made before 0.1, whose format is another one: use an empty directory",
                directory.display()
            )));
        }
        let disk = LocalDisk::open(&directory.join(LOG_DIRECTORY), MANIFEST)
            .map_err(|error| Error::Internal(format!("cannot open the log in {}: {error}", directory.display())))?;
        let files = most_files(log_bytes);
        let file_bytes = (log_bytes / files).min(MAX_FILE_BYTES).next_multiple_of(disk.unit() as u64);
        let max_files = u16::try_from(files).expect("it is at most MAX_FILES");
        let opened = Self::open_on(Box::new(disk), &directory.join(TABLES_DIRECTORY), Sizes { file_bytes, max_files });
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
        let tables = Tables::open(tables)?;
        let mut index = Index::new();
        let ring = recovery::open(disk, sizes, tables.found_mark(), &mut |position, writes| {
            let keys = writes.iter().map(|write| write.record().key());
            keys.filter(|key| is_indexed(key)).for_each(|key| _ = index.insert(key.into(), position));
        })?;
        let shared = Arc::new(Shared {
            ring,
            tables,
            index: Mutex::new(index),
            checkpoint: Mutex::default(),
            files_at_once: FILES_AT_ONCE.min(usize::from(sizes.max_files) / 2).max(1),
            stops: AtomicBool::new(false),
            failures: AtomicU64::default(),
        });
        let background = shared.clone();
        let thread = thread::Builder::new().name("checkpoint".into()).spawn(move || background.run());
        let thread = thread.map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        Ok(LogStorage { shared, checkpoint: Some(thread) })
    }
}

impl Drop for LogStorage {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        self.shared.ring.wake();
        if let Some(thread) = self.checkpoint.take() {
            // It has logged what it died of.
            let _ = thread.join();
        }
    }
}

impl Storage for LogStorage {
    fn sequence(&self) -> u64 {
        self.shared.ring.durable()
    }

    fn load(&self, kinds: &[RecordKind], slots: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()> {
        self.shared.ring.seal();
        let mut newest = Newest::default();
        // No commit waits for the device meanwhile.
        if let Err(error) = self.shared.checkpoint(1, |_| ()) {
            // A full disk must not keep a shard from starting: what is in the log is read from there.
            tracing::warn!(%error, "the log cannot be moved to the tables");
            for file in self.shared.ring.sealed() {
                self.shared.read_file(file, &mut newest)?;
            }
        }
        self.shared.tables.load(newest, kinds, slots, each)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.shared.get(key)
    }

    fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
        self.shared.scan(kind, slots, after, limit)
    }

    fn commit(&self, batch: &[Write], sequence: u64) -> Outcome {
        let position = match self.shared.ring.append(batch, sequence) {
            Ok(Some(position)) => position,
            Ok(None) => return Outcome::Fenced,
            Err(error) => return Outcome::Unknown(fault("cannot write to the log", &error)),
        };
        let mut indexed = batch.iter().map(|write| write.record().key()).filter(|key| is_indexed(key)).peekable();
        if indexed.peek().is_some() {
            let mut index = self.shared.index();
            indexed.for_each(|key| _ = index.insert(key.into(), position));
        }
        Outcome::Committed
    }

    fn write_time(&self) -> Option<Duration> {
        self.shared.ring.write_time()
    }

    fn close(&self) -> Result<()> {
        self.shared.note_reached()
    }

    fn has_room(&self) -> bool {
        self.shared.ring.has_room()
    }

    fn background_failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    fn check_log(&self, part: usize) -> Result<Option<u64>> {
        let ring = &self.shared.ring;
        let Some(file) = ring.sealed().get(part).copied() else { return Ok(None) };
        match ring.read_file(file, &mut |_| {}) {
            // A checkpoint may have freed it meanwhile.
            Err(error) if ring.sealed().contains(&file) => Err(fault("cannot read the log", &error)),
            _ => Ok(Some(ring.file_bytes())),
        }
    }

    fn max_batch_bytes(&self) -> usize {
        usize::try_from(self.shared.ring.max_payload_bytes() / 2).unwrap_or(usize::MAX)
    }

    fn is_volatile(&self) -> bool {
        false
    }
}

/// The most files of a log of at most so many bytes.
fn most_files(log_bytes: u64) -> u64 {
    (log_bytes / MAX_FILE_BYTES).clamp(LEAST_FILES, MAX_FILES as u64)
}

/// True for keys that are read from storage while the shard runs.
fn is_indexed(key: &[u8]) -> bool {
    key != COUNTER_KEY && kind_of(key).is_none_or(|kind| !kind.is_resident())
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        loop {
            let Some(position) = self.index().get(key).copied() else { return self.tables.get(key) };
            let writes = self.ring.read(position).map_err(|error| fault("cannot read the log", &error))?;
            if let Some(writes) = writes {
                let found = writes.into_iter().rfind(|write| write.record().key() == key);
                return Ok(match found {
                    Some(Write::Put(record)) => Some(record.value().to_vec()),
                    Some(Write::Delete(_)) | None => None,
                });
            }
            // It went to the tables meanwhile; if the index still says otherwise, the log is damaged.
            if self.index().get(key) == Some(&position) {
                return Err(Error::Internal(format!("commit {} cannot be read from the log", position.sequence)));
            }
        }
    }

    /// A part of a scan. The log's part is taken first: what goes to the tables meanwhile is then found there.
    fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
        let range = keys_after(slots, after);
        let in_log: Vec<_> =
            self.index().range::<[u8], _>(as_slices(&range)).take(limit).map(|(key, _)| key.clone()).collect();
        let in_tables = self.tables.range(kind, &range, limit)?;
        let mut keys: BTreeMap<Box<[u8]>, Option<Vec<u8>>> = in_log.into_iter().map(|key| (key, None)).collect();
        for (key, value) in in_tables {
            keys.entry(key).or_insert(Some(value));
        }
        let mut page = Page::default();
        for (seen, (key, value)) in keys.into_iter().take(limit).enumerate() {
            if kind_of(&key) == Some(kind) {
                let value = if value.is_some() { value } else { self.get(&key)? };
                page.records.extend(value.map(|value| Record::from_parts(&key, &value)));
            }
            if seen + 1 == limit {
                page.next = Some(key.into_vec());
            }
        }
        Ok(page)
    }

    fn mark(&self, applied: u64, reached: u64) -> Mark {
        Mark { ring: self.ring.id(), applied, reached }
    }

    /// Notes durably how far the log reaches, in the manifest and beside the tables.
    fn note_reached(&self) -> Result<()> {
        let noted = self.ring.note_reached().map_err(|error| fault("cannot write the log's manifest", &error))?;
        if let Some(reached) = noted {
            self.tables.note_reached(self.mark(self.tables.applied(), reached));
        }
        Ok(())
    }

    /// Adds the effects of a sealed file, and returns the sequence of its last commit.
    fn read_file(&self, file: LiveFile, newest: &mut Newest) -> Result<u64> {
        let read = self.ring.read_file(file, &mut |writes| newest.extend(writes));
        read.map_err(|error| fault("cannot read the log", &error))
    }

    /// Moves the oldest sealed files to the tables, as long as there are at least so many. `pause` is told how long reading
    /// a file took, and may wait.
    fn checkpoint(&self, least: usize, pause: impl Fn(Duration)) -> Result<()> {
        let _guard = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sealed = self.ring.sealed();
            if sealed.len() < least {
                return Ok(());
            }
            let mut newest = Newest::default();
            let mut applied = self.tables.applied();
            let mut count = 0;
            for file in sealed.iter().take(self.files_at_once) {
                let began = Instant::now();
                applied = applied.max(self.read_file(*file, &mut newest)?);
                count += 1;
                pause(began.elapsed());
                if newest.bytes() >= CHECKPOINT_BYTES {
                    break;
                }
            }
            let files = &sealed[..count];
            self.tables.apply(newest, self.mark(applied, self.ring.durable()))?;
            // The index first: a read that misses the file looks there again.
            self.index().retain(|_, position| position.sequence > applied);
            self.ring.free(files, applied).map_err(|error| fault("cannot free files of the log", &error))?;
        }
    }

    /// The background thread: prepares files, notes how far the log reaches, moves sealed files to the tables.
    fn run(&self) {
        let mut pause = RETRY_PAUSE;
        let mut seen = self.ring.durable();
        while !self.stops.load(Ordering::Acquire) {
            match self.tidy(&mut seen) {
                Ok(()) => {
                    pause = RETRY_PAUSE;
                    self.ring.wait(IDLE);
                }
                Err(error) => {
                    tracing::error!(%error, "a checkpoint failed; trying again");
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    self.ring.wait(pause);
                    pause = (pause * 2).min(MAX_RETRY_PAUSE);
                }
            }
        }
        if let Err(error) = self.note_reached() {
            tracing::error!(%error, "the end of the log cannot be noted");
        }
    }

    fn tidy(&self, seen: &mut u64) -> Result<()> {
        let prepared = self.ring.prepare_file().map_err(|error| fault("cannot make a file for the log", &error));
        // On a full disk the checkpoint is what frees a file.
        self.checkpoint(self.files_at_once, |busy| self.ring.leave_device(busy))?;
        prepared?;
        let durable = self.ring.durable();
        if durable == *seen {
            self.note_reached()?;
        }
        *seen = durable;
        Ok(())
    }
}
