//! The tables of a log: what the checkpoint moved out of it, in fjall. Sorted runs are ingested; fjall's own journal
//! stays empty, since damage to it would pass unseen.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::compaction::filter::Factory;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::compaction::{CompactionRoom, RoomFilters};
use super::mark::Mark;
use super::reached::{self, ReachedFile};
use super::table_files::{self, Depth};
use crate::error::{Error, Result};
use crate::process::logging;
use crate::storage::backend::{KeyRange, Loaded, keys_after};
use crate::storage::record::{COUNTER_KEY, HEADER_KEY, RecordKind, Write, kind_of};

/// Bytes of the block cache. Small: resident records are read once, at the start.
const CACHE_BYTES: u64 = 4 << 20;
/// Threads that compact.
const WORKERS: usize = 1;
/// Files kept open.
const OPEN_FILES: usize = 128;
/// File descriptors that the tables take at most: the files kept open, and some for journals and lists.
pub const DESCRIPTORS: u64 = OPEN_FILES as u64 + 16;
/// Ingested runs that wait for compaction; past that the next one waits for it, where the disk has room.
const MAX_RUNS: usize = 24;

const KEYSPACE: &str = "records";
/// The key of the mark; before any record's.
const MARK_KEY: &[u8] = &[0];
/// The first byte of the keys that are read when a shard starts.
const LOADED: u8 = 1;
/// The first byte of the keys that are read one by one: closed orders and deliveries, which grow with history.
const NOT_LOADED: u8 = 2;

/// A key and its value.
pub type Entry = (Box<[u8]>, Vec<u8>);

/// The newest effect of each key, in the order of the tables.
#[derive(Default)]
pub struct Newest {
    effects: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Newest {
    /// Takes the effects of the next commit.
    pub fn extend(&mut self, writes: Vec<Write>) {
        for write in writes {
            let key = table_key(write.record().key());
            let value = match &write {
                Write::Put(record) => Some(record.value().to_vec()),
                Write::Delete(_) => None,
            };
            self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            if let Some(replaced) = self.effects.insert(key, value) {
                self.bytes -= replaced.map_or(0, |value| value.len());
            }
        }
    }

    /// Bytes of all keys and values, and of keys that were written more than once.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn table_key(key: &[u8]) -> Vec<u8> {
    [&[class_of(kind_of(key))], key].concat()
}

fn class_of(kind: Option<RecordKind>) -> u8 {
    if kind.is_none_or(RecordKind::is_loaded) { LOADED } else { NOT_LOADED }
}

/// The keys in the tables of a range of one class.
fn range_of(class: u8, (from, to): &KeyRange) -> KeyRange {
    let with_class = |key: &Vec<u8>| [&[class], &key[..]].concat();
    (from.as_ref().map(with_class), to.as_ref().map(with_class))
}

/// A shard's tables.
pub struct Tables {
    directory: PathBuf,
    database: Database,
    records: Keyspace,
    /// The mark that was found.
    mark: Option<Mark>,
    applied: AtomicU64,
    reached: ReachedFile,
    room: Arc<CompactionRoom>,
}

impl Tables {
    /// Opens or creates the tables in a directory. Compaction leaves `min_free` bytes on its disk.
    ///
    /// # Errors
    /// [`Error::Internal`] when that fails, or a part of them is missing.
    pub fn open(directory: &Path, min_free: u64) -> Result<Self> {
        table_files::check(directory, Depth::New)?;
        let room = CompactionRoom::new(directory, min_free, table_files::total_bytes(directory));
        let filters: Arc<dyn Factory> = Arc::new(RoomFilters(room.clone()));
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES)
            .worker_threads(WORKERS)
            .max_cached_files(Some(OPEN_FILES))
            .with_compaction_filter_factories(Arc::new(move |_| Some(filters.clone())))
            .open()
            .map_err(|error| fault("open", &error))?;
        let records =
            database.keyspace(KEYSPACE, KeyspaceCreateOptions::default).map_err(|error| fault("open", &error))?;
        let mark = records.get(MARK_KEY).map_err(|error| fault("read", &error))?;
        let damaged = || Error::Internal("the tables' mark is damaged, or of another format".into());
        let mark = mark.map(|bytes| Mark::decode(&bytes).ok_or_else(damaged)).transpose()?;
        let applied = AtomicU64::new(mark.map_or(0, |mark| mark.applied));
        // Before anything is applied the note alone says of which log the tables are.
        let note = reached::read(directory);
        let mark = mark.map(|mark| mark.with(note)).or(note);
        let reached = ReachedFile::open(directory)
            .map_err(|error| Error::Internal(format!("cannot write to {}: {error}", directory.display())))?;
        Ok(Tables { directory: directory.to_owned(), database, records, mark, applied, reached, room })
    }

    /// The mark that was there when the tables were opened; `None` for new ones.
    pub fn found_mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The sequence up to which every effect is here.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Takes the effects of all commits up to `mark.applied`; they and the mark are durable, both or neither, when this
    /// returns.
    ///
    /// # Errors
    /// [`Error::Internal`] when fjall fails; the tables are then as before.
    pub fn apply(&self, newest: Newest, mark: Mark) -> Result<()> {
        if mark.applied == self.applied() {
            return Ok(());
        }
        // Ingestion itself does not see that a background thread of fjall has failed.
        match self.database.persist(PersistMode::Buffer) {
            Err(fjall::Error::Poisoned) => {
                tracing::error!("the tables' background thread has failed: ending, so that the next start goes on");
                logging::abort();
            }
            result => result.map_err(|error| fault("go on", &error))?,
        }
        if self.records.l0_table_count() >= MAX_RUNS && self.room.is_enough() {
            self.records.major_compact().map_err(|error| fault("compact", &error))?;
        }
        let failed = |error: fjall::Error| fault("ingest", &error);
        let mut ingestion = self.records.start_ingestion().map_err(failed)?;
        ingestion.write(MARK_KEY, mark.encode()).map_err(failed)?;
        for (key, value) in newest.effects {
            match value {
                Some(value) => ingestion.write(key, value).map_err(failed)?,
                None => ingestion.write_tombstone(key).map_err(failed)?,
            }
        }
        ingestion.finish().map_err(failed)?;
        self.applied.store(mark.applied, Ordering::Release);
        self.room.note_tables(self.records.disk_space());
        table_files::note(&self.directory);
        Ok(())
    }

    /// Notes durably how far the log reaches.
    pub fn note_reached(&self, mark: Mark) {
        if let Err(error) = self.reached.write(mark) {
            tracing::warn!(%error, "how far the log reaches cannot be noted beside the tables");
        }
    }

    /// The value of a record's key.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.records.get(table_key(key)).map_err(|error| fault("read", &error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// Calls `each` with the records of some kinds and slots, and with the shard's own: what is in the tables, with
    /// effects that are not.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read; the first error of `each`.
    pub fn load(
        &self,
        newest: Newest,
        kinds: &[RecordKind],
        slots: &RangeInclusive<u16>,
        each: &mut Loaded<'_>,
    ) -> Result<()> {
        for key in [HEADER_KEY, COUNTER_KEY] {
            let value = match newest.effects.get(&table_key(key)) {
                Some(effect) => effect.clone(),
                None => self.get(key)?,
            };
            value.map_or(Ok(()), |value| each(key, &value))?;
        }
        let is_wanted = |key: &[u8]| kind_of(key).is_some_and(|kind| kinds.contains(&kind));
        let mut classes: Vec<_> = kinds.iter().map(|kind| class_of(Some(*kind))).collect();
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            let range = range_of(class, &keys_after(slots, &[]));
            for guard in self.records.range(range.clone()) {
                let (key, value) = guard.into_inner().map_err(|error| fault("read", &error))?;
                if is_wanted(&key[1..]) && !newest.effects.contains_key(&key[..]) {
                    each(&key[1..], &value)?;
                }
            }
            for (key, value) in newest.effects.range(range) {
                if let Some(value) = value.as_ref().filter(|_| is_wanted(&key[1..])) {
                    each(&key[1..], value)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with every record, of any kind, and with the shard's own.
    ///
    /// # Errors
    /// [`Error::Internal`] when one cannot be read; the first error of `each`.
    pub fn each(&self, each: &mut Loaded<'_>) -> Result<()> {
        for guard in self.records.range([LOADED]..) {
            let (key, value) = guard.into_inner().map_err(|error| fault("read", &error))?;
            each(&key[1..], &value)?;
        }
        Ok(())
    }

    /// The first records of a range, in the order of their keys: all kinds that lie beside this one.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be read.
    pub fn range(&self, kind: RecordKind, range: &KeyRange, limit: usize) -> Result<Vec<Entry>> {
        let found = self.records.range(range_of(class_of(Some(kind)), range)).take(limit);
        found
            .map(|guard| {
                let (key, value) = guard.into_inner().map_err(|error| fault("read", &error))?;
                Ok((key[1..].into(), value.to_vec()))
            })
            .collect()
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        // fjall waits for its thread.
        self.room.stop();
    }
}

fn fault(what: &str, error: &fjall::Error) -> Error {
    Error::Internal(format!("the tables could not {what}: {error:?}"))
}
