//! The access of one command to the records.

use std::ops::RangeInclusive;

use super::batch::CommitDependency;
use super::expiry_index::end_of_life;
use super::fetched::{Fetched, StoredKey};
use super::idempotency_index::{Full, KeyScope};
use super::writer::{Indexes, Writer};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::process::logging;
use crate::routing::KeyHash;
use crate::shard::clock::Moment;
use crate::storage::{Record, RecordKey, RecordKind};

/// One command's access to the records, as of one time. It tracks the commit that the reply must wait for.
///
/// There is no rollback: a command checks first and writes then, so that a command that fails has written nothing.
/// [`Transaction::is_torn`] detects one that broke this rule.
pub struct Transaction<'w> {
    writer: &'w mut Writer,
    now: Moment,
    fetched: &'w [Fetched],
    missing: Option<StoredKey>,
    dependency: CommitDependency,
    has_written: bool,
}

impl<'w> Transaction<'w> {
    /// Begins a transaction at the time `now`.
    pub fn begin(writer: &'w mut Writer, now: impl Into<Moment>) -> Self {
        Self::begin_with(writer, now, &[])
    }

    /// Begins a transaction at the time `now`, with records that were fetched for it.
    pub fn begin_with(writer: &'w mut Writer, now: impl Into<Moment>, fetched: &'w [Fetched]) -> Self {
        let dependency = CommitDependency::None;
        Transaction { writer, now: now.into(), fetched, missing: None, dependency, has_written: false }
    }

    /// The time as of which the command runs.
    pub fn now(&self) -> Timestamp {
        self.now.system
    }

    /// The same time on the clock by which records expire.
    pub fn steady_now(&self) -> Timestamp {
        self.now.steady
    }

    /// The time at which a record that is written now expires, as it is stored: a start may begin with either clock.
    pub fn stored_end_of_life(&self) -> Timestamp {
        end_of_life(self.now.system.max(self.now.steady))
    }

    /// Reads a resident record. The reply will wait until the record, or its absence, is durable.
    pub fn read(&mut self, key: RecordKey<'_>) -> Option<&[u8]> {
        self.depend_on(self.writer.dependency_on(key));
        self.writer.state().get(key)
    }

    /// Reads a record that is not resident. The reply will wait as for [`Transaction::read`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the record has to be fetched first: the command must end with this error, before it has
    /// written anything, and [`Transaction::take_missing`] has the record's key.
    pub fn read_stored(&mut self, key: RecordKey<'_>) -> Result<Option<Vec<u8>>> {
        self.depend_on(self.writer.dependency_on(key));
        self.writer.read_stored(key, self.fetched).map_err(|missing| {
            self.missing = Some(missing);
            Error::Unavailable("a record has to be read from storage first".into())
        })
    }

    /// Reads a record that is not resident from the commits that are under way. The reply will wait as for
    /// [`Transaction::read`]. `None` when none of them has it.
    pub fn read_uncommitted(&mut self, key: RecordKey<'_>) -> Option<Vec<u8>> {
        self.depend_on(self.writer.dependency_on(key));
        self.writer.read_stored(key, &[]).ok().flatten()
    }

    /// The key of the record that the command could not go on without.
    pub fn take_missing(&mut self) -> Option<StoredKey> {
        self.missing.take()
    }

    /// Reads a resident record that does not affect the reply, so that the reply need not wait for it.
    pub fn peek(&self, key: RecordKey<'_>) -> Option<&[u8]> {
        self.writer.state().get(key)
    }

    /// Stores a record, in place of an earlier one. The reply will wait for its commit.
    pub fn put(&mut self, key: RecordKey<'_>, value: &[u8]) {
        self.writer.put(key, value);
        self.note_write();
    }

    /// Deletes a record. The reply will wait for its commit.
    pub fn delete(&mut self, key: RecordKey<'_>) {
        self.writer.delete(key);
        self.note_write();
    }

    /// Deletes a record that was found.
    pub fn delete_record(&mut self, record: &Record) {
        if let Some(key) = record.parsed_key() {
            self.delete(key);
        }
    }

    /// The resident records of one of many parts; `None` past the last one.
    pub fn part(&self, part: usize) -> Option<impl ExactSizeIterator<Item = &Record>> {
        self.writer.state().part(part)
    }

    fn note_write(&mut self) {
        self.has_written = true;
        self.dependency = CommitDependency::Open;
    }

    /// A version that no record of this shard ever had.
    pub fn next_version(&mut self) -> u64 {
        self.writer.next_version()
    }

    /// The slots that this shard owns.
    pub fn slots(&self) -> RangeInclusive<u16> {
        self.writer.slots()
    }

    /// True when this shard owns a hash.
    pub fn owns(&self, hash: KeyHash) -> bool {
        self.writer.slots().contains(&hash.slot().0)
    }

    /// Refuses a hash that another shard owns.
    ///
    /// # Errors
    /// [`Error::WrongSlot`].
    pub fn check_owner(&self, hash: KeyHash) -> Result<()> {
        if self.owns(hash) {
            return Ok(());
        }
        Err(Error::WrongSlot(format!("slot {} is not on this shard", hash.slot().0)))
    }

    /// Refuses a command that writes while there is no room for its writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn check_capacity(&self) -> Result<()> {
        self.writer.check_capacity()
    }

    /// Refuses a command that makes records larger while the shard is at its memory limit.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn check_memory(&self) -> Result<()> {
        if self.writer.memory() < self.writer.max_memory() {
            return Ok(());
        }
        let text = "the shard is at its memory limit (--max-memory); nothing was applied, and reads, removals and \
                    checkouts go on";
        Err(Error::OutOfMemory(text.into()))
    }

    /// The count of resident records of a kind.
    pub fn count(&self, kind: RecordKind) -> u64 {
        self.writer.state().count(kind)
    }

    /// Makes the reply wait until every change of a product so far is durable, since a list depends on all of them.
    pub fn depend_on_products(&mut self) {
        self.depend_on(self.writer.dependency_on_products());
    }

    fn depend_on(&mut self, dependency: CommitDependency) {
        self.dependency = self.dependency.max(dependency);
    }

    /// The indexes over the records.
    pub fn indexes(&self) -> &Indexes {
        self.writer.indexes()
    }

    /// The indexes, to be changed together with their records.
    pub fn indexes_mut(&mut self) -> &mut Indexes {
        self.has_written = true;
        self.writer.indexes_mut()
    }

    /// Checks that there is room for another idempotency key.
    ///
    /// # Errors
    /// [`Full`].
    pub fn idempotency_room(&mut self, scope: KeyScope, now: Timestamp) -> std::result::Result<(), Full> {
        self.writer.indexes_mut().idempotency.check_room(scope, now)
    }

    /// The commit that the reply must wait for, as far as the command has run.
    pub fn dependency(&self) -> CommitDependency {
        self.dependency
    }

    /// True when a result is an error although the transaction has written. The next commit would then make half a
    /// command durable.
    pub fn is_torn<T>(&self, result: &Result<T>) -> bool {
        result.is_err() && self.has_written
    }

    /// Ends the process when a result is torn, so that the next start loads what is durable.
    pub fn abort_if_torn<T>(&self, result: &Result<T>) {
        if self.is_torn(result) {
            let error = result.as_ref().err().map(Error::detail).unwrap_or_default();
            tracing::error!(%error, "a command failed after it had written: aborting, so that none of its writes is kept");
            logging::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::writer::Resident;
    use super::*;
    use crate::routing::SLOTS;
    use crate::storage::MemoryStorage;

    const FAILED: Result<()> = Err(Error::NotFound(String::new()));

    fn writer() -> Writer {
        Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS - 1)
    }

    fn key() -> RecordKey<'static> {
        RecordKey { hash: KeyHash::from_bits(7), kind: RecordKind::Kv, id: b"a" }
    }

    #[test]
    fn a_failure_after_a_write_is_torn() {
        type Change = fn(&mut Transaction<'_>);
        let writes: [Change; 3] = [|txn| txn.put(key(), b"1"), |txn| txn.delete(key()), |txn| _ = txn.indexes_mut()];
        for write in writes {
            let mut writer = writer();
            let mut txn = Transaction::begin(&mut writer, Timestamp::default());
            assert!(!txn.is_torn(&FAILED), "nothing was written yet");
            write(&mut txn);
            assert!(txn.is_torn(&FAILED));
            assert!(!txn.is_torn(&Ok(())), "a command that succeeds may write");
        }
    }

    #[test]
    fn reads_are_never_torn_and_wait_for_what_they_read() {
        let mut writer = writer();
        Transaction::begin(&mut writer, Timestamp::default()).put(key(), b"1");
        let mut txn = Transaction::begin(&mut writer, Timestamp::default());
        assert_eq!(txn.peek(key()), Some(&b"1"[..]));
        assert_eq!(txn.dependency(), CommitDependency::None);
        assert_eq!(txn.read(key()), Some(&b"1"[..]));
        assert_eq!(txn.dependency(), CommitDependency::Open);
        assert!(!txn.is_torn(&FAILED));
        writer.seal();
        let mut txn = Transaction::begin(&mut writer, Timestamp::default());
        txn.read(key());
        assert_eq!(txn.dependency(), CommitDependency::InFlight);
    }
}
