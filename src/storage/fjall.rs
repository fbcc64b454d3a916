//! Storage in fjall, a log-structured merge tree: one journalled batch and one sync for each commit.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::backend::{Loaded, Outcome, Page, Storage, keys_after};
use super::record::{COUNTER_KEY, HEADER_KEY, RecordKind, Write, kind_of};
use crate::error::{Error, Result};

/// The size of the block cache, in bytes. It is small, since resident records are read once, at the start.
const CACHE_BYTES: u64 = 4 << 20;
/// The size past which the memtable is flushed from memory to a file, in bytes.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// The size of the journals on disk past which memtables are flushed, in bytes: the least that fjall accepts.
const JOURNAL_BYTES: u64 = 64 << 20;
/// The number of threads that flush and compact.
const WORKERS: usize = 1;
/// The most files kept open.
const OPEN_FILES: usize = 128;

const KEYSPACE: &str = "records";
/// A file that fjall makes with a database, and never again. A directory without it has no database.
pub const VERSION_FILE: &str = "version";

/// A shard's records in one keyspace of a fjall database.
pub struct FjallStorage {
    database: Database,
    records: Keyspace,
    /// The number of commits since it was opened.
    sequence: AtomicU64,
}

impl FjallStorage {
    /// The most file descriptors that it keeps: its tables, and some for journals and lists.
    pub const DESCRIPTORS: u64 = OPEN_FILES as u64 + 16;

    /// Opens or creates the database in a directory.
    ///
    /// # Errors
    /// [`Error::Internal`] when the database cannot be opened.
    pub fn open(directory: &Path) -> Result<Self> {
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES)
            .worker_threads(WORKERS)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(|error| fault("open", &error))?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let records = database.keyspace(KEYSPACE, options).map_err(|error| fault("open", &error))?;
        Ok(FjallStorage { database, records, sequence: AtomicU64::default() })
    }

    fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| fault("sync", &error))
    }
}

impl Storage for FjallStorage {
    fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    fn load(&self, kinds: &[RecordKind], slots: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()> {
        for key in [HEADER_KEY, COUNTER_KEY] {
            if let Some(value) = self.get(key)? {
                each(key, &value)?;
            }
        }
        for guard in self.records.range(keys_after(slots, &[])) {
            let (key, value) = guard.into_inner().map_err(|error| fault("read", &error))?;
            if kind_of(&key).is_some_and(|kind| kinds.contains(&kind)) {
                each(&key, &value)?;
            }
        }
        // What was read may so far be in the page cache only.
        self.sync()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.records.get(key).map_err(|error| fault("read", &error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
        let entries = self.records.range(keys_after(slots, after)).map(Guard::into_inner);
        Page::of(entries.map(|entry| entry.map_err(|error| fault("read", &error))), kind, limit)
    }

    fn commit(&self, batch: &[Write], sequence: u64) -> Outcome {
        if sequence != self.sequence() + 1 {
            return Outcome::Fenced;
        }
        if let Err(error) = self.write(batch) {
            return Outcome::Unknown(error);
        }
        self.sequence.store(sequence, Ordering::Release);
        Outcome::Committed
    }

    fn is_volatile(&self) -> bool {
        false
    }
}

impl FjallStorage {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mut writes = self.database.batch();
        for write in batch {
            match write {
                Write::Put(record) => writes.insert(&self.records, record.key(), record.value()),
                Write::Delete(record) => writes.remove(&self.records, record.key()),
            }
        }
        writes.commit().map_err(|error| fault("write", &error))?;
        self.sync()
    }
}

fn fault(what: &str, error: &fjall::Error) -> Error {
    Error::Internal(format!("fjall could not {what}: {error:?}"))
}
