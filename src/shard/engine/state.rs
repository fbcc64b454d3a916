//! The resident records: those that a shard holds in memory.

use super::split_table::SplitTable;
use crate::routing::{KeyHash, SLOTS};
use crate::storage::{Record, RecordKey, RecordKind};

/// The length of a table that is indexed by the number of a kind.
const KINDS: usize = RecordKind::Return as usize + 1;

/// All resident records, found by their hash and compared by their whole key.
pub struct State {
    records: SplitTable<Record>,
    /// The count of each kind.
    counts: [u64; KINDS],
    /// The count of each slot.
    slots: Box<[u32]>,
    bytes: u64,
}

impl Default for State {
    fn default() -> Self {
        let slots = vec![0; usize::from(SLOTS)].into_boxed_slice();
        State { records: SplitTable::default(), counts: [0; KINDS], slots, bytes: 0 }
    }
}

impl State {
    /// The value of a record.
    pub fn get(&self, key: RecordKey<'_>) -> Option<&[u8]> {
        self.records.find(key.hash.table_hash(), |record| record.is_of(key)).map(Record::value)
    }

    /// Stores the record of a key, in place of an earlier one.
    pub fn put(&mut self, key: RecordKey<'_>, record: Record) {
        let size = record.size() as u64;
        match self.records.put(key.hash.table_hash(), record, |other| other.is_of(key), table_hash) {
            Some(replaced) => self.bytes -= replaced.size() as u64,
            None => {
                self.counts[key.kind as usize] += 1;
                self.slots[usize::from(key.hash.slot().0)] += 1;
            }
        }
        self.bytes += size;
    }

    /// Removes a record.
    pub fn delete(&mut self, key: RecordKey<'_>) {
        if let Some(record) = self.records.remove(key.hash.table_hash(), |record| record.is_of(key)) {
            self.bytes -= record.size() as u64;
            self.counts[key.kind as usize] -= 1;
            self.slots[usize::from(key.hash.slot().0)] -= 1;
        }
    }

    /// The count of all records.
    pub fn count_all(&self) -> usize {
        self.records.len()
    }

    /// The count of records of a kind.
    pub fn count(&self, kind: RecordKind) -> u64 {
        self.counts[kind as usize]
    }

    /// The count of the records of each slot.
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Calls `each` with every record of a kind.
    pub fn each<'a>(&'a self, kind: RecordKind, mut each: impl FnMut(&'a Record)) {
        self.records.iter().filter(|record| record.is_kind(kind)).for_each(&mut each);
    }

    /// The records of one of many parts; `None` past the last one. A record stays in its part.
    pub fn part(&self, part: usize) -> Option<impl ExactSizeIterator<Item = &Record>> {
        self.records.part(part)
    }

    /// The size of all keys and values, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The hash for the table. Only records with a whole key are in the table, so each has one.
fn table_hash(record: &Record) -> u64 {
    record.hash().map_or(0, KeyHash::table_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> RecordKey<'_> {
        RecordKey { hash: KeyHash::from_bits(42), kind: RecordKind::Cart, id: id.as_bytes() }
    }

    #[test]
    fn two_ids_with_one_hash_share_nothing() {
        let mut state = State::default();
        for id in ["alice", "bob"] {
            state.put(key(id), Record::new(key(id), id.as_bytes()));
        }
        assert_eq!(state.get(key("alice")), Some(&b"alice"[..]));
        assert_eq!(state.get(key("bob")), Some(&b"bob"[..]));
        state.delete(key("alice"));
        assert_eq!(state.get(key("alice")), None);
        assert_eq!(state.get(key("bob")), Some(&b"bob"[..]));
    }

    #[test]
    fn sizes_and_counts_follow_every_change() {
        let mut state = State::default();
        for value in [&b"short"[..], b"a longer one", b""] {
            state.put(key("alice"), Record::new(key("alice"), value));
            assert_eq!(state.count(RecordKind::Cart), 1);
            assert_eq!(state.slots()[usize::from(key("alice").hash.slot().0)], 1);
        }
        assert_eq!(state.bytes(), Record::new(key("alice"), b"").size() as u64);
        state.delete(key("alice"));
        state.delete(key("alice"));
        assert_eq!((state.count(RecordKind::Cart), state.bytes()), (0, 0));
    }
}
