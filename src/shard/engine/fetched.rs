//! Records that are not resident. A command that needs one ends before it has written anything; the record is read from
//! storage without the writer's lock, and the command runs again with it.

use std::fmt;

use crate::routing::KeyHash;
use crate::storage::{Record, RecordKey, record_name};

/// The number of counters of changes: keys that share one only cause a record to be read again.
const COUNTERS: usize = 1_024;

/// A record that was read from storage.
#[derive(Debug)]
pub struct Fetched {
    key: StoredKey,
    stamp: u64,
    value: Option<Vec<u8>>,
}

/// The key of a record that a command needs from storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    hash: KeyHash,
    record: Record,
}

impl StoredKey {
    pub(super) fn new(key: RecordKey<'_>) -> Self {
        StoredKey { hash: key.hash, record: Record::new(key, b"") }
    }

    /// The key's bytes in storage.
    pub fn bytes(&self) -> &[u8] {
        self.record.key()
    }

    /// The key with what storage has under it. The stamp was taken before storage was asked.
    pub fn with(self, stamp: u64, value: Option<Vec<u8>>) -> Fetched {
        Fetched { key: self, stamp, value }
    }
}

impl fmt::Display for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&record_name(self.bytes()))
    }
}

/// Counts the changes of records that are not resident, so that one that was read before a change is known to be old.
pub struct StoredChanges(Box<[u64]>);

impl Default for StoredChanges {
    fn default() -> Self {
        StoredChanges(vec![0; COUNTERS].into_boxed_slice())
    }
}

impl StoredChanges {
    /// Notes that a record of this owner is changed.
    pub fn note(&mut self, owner: KeyHash) {
        self.0[Self::index(owner)] += 1;
    }

    /// The stamp of a record as it is now.
    pub fn stamp(&self, key: &StoredKey) -> u64 {
        self.0[Self::index(key.hash)]
    }

    /// The value of a record among those fetched, unless it was changed since; `None` if it has to be fetched.
    pub fn find<'f>(&self, fetched: &'f [Fetched], key: &StoredKey) -> Option<&'f Option<Vec<u8>>> {
        let is_current = |fetched: &&Fetched| fetched.key == *key && fetched.stamp == self.stamp(key);
        fetched.iter().find(is_current).map(|fetched| &fetched.value)
    }

    fn index(owner: KeyHash) -> usize {
        owner.table_hash() as usize % COUNTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RecordKind;

    #[test]
    fn a_record_that_was_changed_is_fetched_again() {
        let key = |id: &'static str| {
            StoredKey::new(RecordKey { hash: KeyHash::of(id), kind: RecordKind::Order, id: id.as_bytes() })
        };
        let mut changes = StoredChanges::default();
        let fetched = [key("a").with(changes.stamp(&key("a")), Some(b"1".to_vec()))];
        assert_eq!(changes.find(&fetched, &key("a")), Some(&Some(b"1".to_vec())));
        assert_eq!(changes.find(&fetched, &key("b")), None);
        changes.note(KeyHash::of("a"));
        assert_eq!(changes.find(&fetched, &key("a")), None);
    }
}
