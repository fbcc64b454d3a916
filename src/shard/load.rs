//! Loads a shard's records into memory, checking each as far as it can be checked.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::first_answers::{AnswerId, FirstAnswers};
use super::identity::{HEADER_KEY, Identity};
use super::state::State;
use super::writer::{COUNTER_KEY, Writer};
use crate::codec;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::key::{KeyHash, Kind};
use crate::record::{KEY_PREFIX_BYTES, Record};
use crate::storage::Storage;

/// How often a progress line is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// How many records are read between two looks at the clock.
const PROGRESS_STRIDE: u64 = 4_096;

struct Loader<'a> {
    identity: &'a Identity,
    state: State,
    answers: Vec<(Timestamp, KeyHash, AnswerId)>,
    counter: u64,
    newest_version: u64,
    records: u64,
    last_progress: Instant,
}

/// Loads everything and returns a writer over it. What was read is durable when this returns.
///
/// # Errors
/// [`Error::Fault`] when storage cannot be read, or holds a record that is damaged, of another
/// shard, or newer than the counter of the last commit: then a part of the store is missing.
pub fn load(storage: &Arc<dyn Storage>, identity: &Identity) -> Result<Writer> {
    let mut loader = Loader {
        identity,
        state: State::default(),
        answers: Vec::new(),
        counter: 0,
        newest_version: 0,
        records: 0,
        last_progress: Instant::now(),
    };
    storage.load(&mut |key, value| loader.take(key, value))?;
    // What was read may so far be in the page cache only: a reply must not leave before it is on disk.
    storage.sync()?;
    loader.finish(storage)
}

impl Loader<'_> {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key == HEADER_KEY {
            return Ok(());
        }
        if key == COUNTER_KEY {
            let bytes = value.try_into().map_err(|_| Error::Fault("the stored counter is damaged".into()))?;
            self.counter = u64::from_be_bytes(bytes);
            return Ok(());
        }
        let record = Record::from_parts(key, value);
        let (Some(hash), Some((kind, id))) =
            (record.hash(), key[..].get(KEY_PREFIX_BYTES - 1..).and_then(<[u8]>::split_first))
        else {
            return Err(Error::Fault("a stored record's key is too short".into()));
        };
        let kind = Kind::try_from(*kind)?;
        if !self.identity.slots().contains(&hash.slot().0) {
            return Err(Error::Fault(format!(
                "a stored record is of slot {}, which is not this shard's",
                hash.slot().0
            )));
        }
        let version = self.check_value(kind, hash, id, value)?;
        self.newest_version = self.newest_version.max(version);
        if kind.is_resident() {
            self.state.put(hash, kind, record);
        }
        self.records += 1;
        self.report();
        Ok(())
    }

    fn check_value(&mut self, kind: Kind, hash: KeyHash, id: &[u8], value: &[u8]) -> Result<u64> {
        match kind {
            Kind::Cart => Ok(codec::decode_cart(value)?.version),
            Kind::Kv => Ok(codec::decode_value(value)?.version),
            Kind::Idempotency => {
                let answer = codec::decode_first_answer(value)?;
                let id = id.try_into().map_err(|_| Error::Fault("a first answer's key is damaged".into()))?;
                self.answers.push((answer.expires_at, hash, AnswerId(id)));
                Ok(answer.version)
            }
            _ => codec::decode_version(value),
        }
    }

    fn report(&mut self) {
        if self.records.is_multiple_of(PROGRESS_STRIDE) && self.last_progress.elapsed() >= PROGRESS_INTERVAL {
            self.last_progress = Instant::now();
            // Nobody may be reading; loading goes on all the same.
            let _ = writeln!(std::io::stdout(), "progress loading, {} records", self.records);
        }
    }

    fn finish(mut self, storage: &Arc<dyn Storage>) -> Result<Writer> {
        if self.newest_version > self.counter {
            return Err(Error::Fault(format!(
                "a record has version {}, but the last commit's counter is {}: a part of the store is missing",
                self.newest_version, self.counter
            )));
        }
        self.answers.sort_unstable_by_key(|(expires_at, ..)| *expires_at);
        let mut first_answers = FirstAnswers::default();
        for (expires_at, hash, id) in self.answers {
            first_answers.insert(hash, id, expires_at);
        }
        tracing::debug!(records = self.records, counter = self.counter, "loaded");
        Ok(Writer::new(self.state, first_answers, self.counter, storage.clone(), self.identity.slots()))
    }
}
