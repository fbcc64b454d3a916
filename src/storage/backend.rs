//! The storage of one shard as a trait.

use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

use super::record::{Record, RecordKind, Write, kind_of};
use crate::error::{Error, Result};
use crate::routing::Slot;

/// Takes the key and the value of a record that is loaded.
pub type Loaded<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// The most bytes of a batch where storage itself has no limit.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// The result of a commit.
#[derive(Debug)]
pub enum Outcome {
    /// The batch is durable.
    Committed,
    /// Nothing of the batch was written: its sequence is not the one after the last commit, so something else has
    /// committed to this storage. The process must end.
    Fenced,
    /// Nobody knows whether the batch is durable. The process must end.
    Unknown(Error),
}

impl Outcome {
    /// The outcome as a result.
    ///
    /// # Errors
    /// [`Error::Internal`] for all but a commit that is durable.
    pub fn into_result(self) -> Result<()> {
        match self {
            Outcome::Committed => Ok(()),
            Outcome::Fenced => Err(Error::Internal("something else has committed to this shard's storage".into())),
            Outcome::Unknown(error) => Err(error),
        }
    }
}

/// A part of a scan.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Records in the order of their keys.
    pub records: Vec<Record>,
    /// The key after which the scan goes on; `None` at its end. A page without records may have one.
    pub next: Option<Vec<u8>>,
}

/// Durable storage of one shard. One thread commits; everything else may be called beside it.
pub trait Storage: Send + Sync + 'static {
    /// The sequence of the last commit. Sequences grow by one.
    fn sequence(&self) -> u64;

    /// Calls `each` with the key and value of every record of some kinds and slots, and of the shard's own records
    /// (header, counter). They are durable when this returns, also those that a process wrote that was killed. No commit
    /// may be under way.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage cannot be read, or the first error of `each`.
    fn load(&self, kinds: &[RecordKind], slots: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()>;

    /// The value of one of the shard's own records, or of a record that is not resident, as of the last commit.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Up to `limit` records of a kind that is not resident, from the first key after `after` on. What is there throughout
    /// a scan is seen exactly once.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage cannot be read.
    fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page>;

    /// Makes a batch durable under the sequence after the last one: all of it, or nothing of it after a crash.
    fn commit(&self, batch: &[Write], sequence: u64) -> Outcome;

    /// Makes a batch durable under the next sequence, before a shard has a writer.
    ///
    /// # Errors
    /// [`Error::Internal`] when it may not be durable.
    fn commit_next(&self, batch: &[Write]) -> Result<()> {
        self.commit(batch, self.sequence() + 1).into_result()
    }

    /// The time that the commit under way has taken so far; `None` while there is none.
    fn write_time(&self) -> Option<Duration> {
        None
    }

    /// The time for which background work has been freeing space; `None` while it does not.
    fn checkpoint_time(&self) -> Option<Duration> {
        None
    }

    /// Notes that everything is committed, at the end of a shard.
    ///
    /// # Errors
    /// [`Error::Internal`] when that cannot be written; what was committed is durable all the same.
    fn close(&self) -> Result<()> {
        Ok(())
    }

    /// False while storage has to free space before it takes more writes.
    fn has_room(&self) -> bool {
        true
    }

    /// Reads a part of the log that waits for a checkpoint, to find out whether it is damaged: the first one is 0. Returns
    /// its size in bytes; `None` past the last one.
    ///
    /// # Errors
    /// [`Error::Internal`] that names file and offset.
    fn check_log(&self, _part: usize) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The number of times that background work has failed since the start, and was tried again.
    fn background_failures(&self) -> u64 {
        0
    }

    /// The bytes of keys and values at which a batch takes no more commands. One command more still fits.
    fn max_batch_bytes(&self) -> usize {
        MAX_BATCH_BYTES
    }

    /// True when nothing outlives the process, so that a commit costs nothing.
    fn is_volatile(&self) -> bool;
}

impl Page {
    /// Takes up to `limit` entries of a scan, and keeps those of a kind.
    ///
    /// # Errors
    /// The first error of an entry.
    pub fn of<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        entries: impl Iterator<Item = Result<(K, V)>>,
        kind: RecordKind,
        limit: usize,
    ) -> Result<Self> {
        let mut page = Page::default();
        for (seen, entry) in entries.take(limit).enumerate() {
            let (key, value) = entry?;
            if kind_of(key.as_ref()) == Some(kind) {
                page.records.push(Record::from_parts(key.as_ref(), value.as_ref()));
            }
            if seen + 1 == limit {
                page.next = Some(key.as_ref().to_vec());
            }
        }
        Ok(page)
    }
}

/// A range of keys.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A range of keys, to look up in an ordered map.
pub fn as_slices(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice))
}

/// The keys of all records of some slots, after a key.
pub fn keys_after(slots: &RangeInclusive<u16>, after: &[u8]) -> KeyRange {
    let start = Slot(*slots.start()).hashes().start.to_be_bytes();
    let end = Slot(*slots.end()).hashes().end.to_be_bytes();
    let from = if after < &start[..] { Bound::Included(start.to_vec()) } else { Bound::Excluded(after.to_vec()) };
    (from, Bound::Excluded(end.to_vec()))
}
