//! What a log and its tables hold together: reads of both, and the checkpoint, which moves what is in sealed files of the
//! log to the tables.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::manifest::LiveFile;
use super::mark::Mark;
use super::recovery;
use super::ring::{Position, Ring, Sizes};
use super::survey::fault;
use super::tables::{Newest, Tables};
use super::under_way::UnderWay;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::storage::backend::{Page, as_slices, keys_after};
use crate::storage::record::{COUNTER_KEY, Record, RecordKind, Write, kind_of};

/// Files that go to the tables together, so that a key that changes often is written once.
const FILES_AT_ONCE: usize = 4;
/// Bytes of keys and values that go to the tables together at most, but for the last file's.
const CHECKPOINT_BYTES: usize = 64 << 20;

/// Where the newest effect of a key lies; only of keys that are read one by one.
type Index = BTreeMap<Box<[u8]>, Position>;

/// A log with its tables.
pub struct Content {
    /// The log.
    pub ring: Ring,
    /// The tables.
    pub tables: Tables,
    index: Mutex<Index>,
    /// One checkpoint at a time: the background thread's, or that of a load.
    checkpoint: Mutex<()>,
    /// A part of a checkpoint.
    moving: UnderWay,
    files_at_once: usize,
}

impl Content {
    /// Opens or makes a log on a disk, and its tables in a directory.
    ///
    /// # Errors
    /// [`Error::Internal`] when something cannot be opened, is missing or is damaged.
    pub fn open(disk: Box<dyn Disk>, tables: &Path, sizes: Sizes) -> Result<Self> {
        let tables = Tables::open(tables, sizes.min_free)?;
        let mut index = Index::new();
        let ring = recovery::open(disk, sizes, tables.found_mark(), &mut |position, writes| {
            indexed(&writes).for_each(|key| _ = index.insert(key.into(), position));
        })?;
        Ok(Content {
            ring,
            tables,
            index: Mutex::new(index),
            checkpoint: Mutex::default(),
            moving: UnderWay::default(),
            files_at_once: FILES_AT_ONCE.min(usize::from(sizes.max_files) / 2).max(1),
        })
    }

    /// Notes where a commit lies.
    pub fn note(&self, writes: &[Write], position: Position) {
        let mut keys = indexed(writes).peekable();
        if keys.peek().is_some() {
            let mut index = self.index();
            keys.for_each(|key| _ = index.insert(key.into(), position));
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a record's key.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
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
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read.
    pub fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
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
    ///
    /// # Errors
    /// [`Error::Internal`] when the manifest cannot be written.
    pub fn note_reached(&self) -> Result<()> {
        let noted = self.ring.note_reached().map_err(|error| fault("cannot write the log's manifest", &error))?;
        if let Some(reached) = noted {
            self.tables.note_reached(self.mark(self.tables.applied(), reached));
        }
        Ok(())
    }

    /// Adds the effects of a sealed file, and returns the sequence of its last commit.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read, or is damaged.
    pub fn read_file(&self, file: LiveFile, newest: &mut Newest) -> Result<u64> {
        let read = self.ring.read_file(file, &mut |writes| newest.extend(writes));
        read.map_err(|error| fault("cannot read the log", &error))
    }

    /// Moves all sealed files to the tables, a few at a time, as long as there are at least `least`. `pause` is told how
    /// long reading a file took, and may wait.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be read, or the tables or the manifest cannot be written.
    pub fn checkpoint(&self, least: usize, pause: impl Fn(Duration)) -> Result<()> {
        let _guard = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sealed = self.ring.sealed();
            if sealed.len() < least {
                return Ok(());
            }
            self.moving.begin();
            let moved = self.move_files(&sealed[..sealed.len().min(self.files_at_once)], &pause);
            self.moving.end();
            moved?;
        }
    }

    /// Moves as many of some files to the tables as go there together.
    fn move_files(&self, files: &[LiveFile], pause: &impl Fn(Duration)) -> Result<()> {
        let mut newest = Newest::default();
        let mut applied = self.tables.applied();
        let mut count = 0;
        for file in files {
            let began = Instant::now();
            applied = applied.max(self.read_file(*file, &mut newest)?);
            count += 1;
            pause(began.elapsed());
            if newest.bytes() >= CHECKPOINT_BYTES {
                break;
            }
        }
        fail_point::stall("checkpoint");
        self.tables.apply(newest, self.mark(applied, self.ring.durable()))?;
        // The index first: a read that misses the file looks there again.
        self.index().retain(|_, position| position.sequence > applied);
        self.ring.free(&files[..count], applied).map_err(|error| fault("cannot free files of the log", &error))
    }

    /// The time for which files have been on their way to the tables; `None` while none are.
    pub fn checkpoint_time(&self) -> Option<Duration> {
        self.moving.time()
    }

    /// The files that are enough for a checkpoint.
    pub fn files_at_once(&self) -> usize {
        self.files_at_once
    }
}

/// The keys of some writes that are read from storage while the shard runs.
fn indexed(writes: &[Write]) -> impl Iterator<Item = &[u8]> {
    let keys = writes.iter().map(|write| write.record().key());
    keys.filter(|key| *key != COUNTER_KEY && kind_of(key).is_none_or(|kind| !kind.is_resident()))
}
