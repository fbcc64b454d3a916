//! The records that a shard holds in memory.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::routing::KeyHash;
use crate::storage::Record;
use crate::storage::RecordKind;

/// One more than the greatest number of a kind.
const KINDS: usize = RecordKind::Settlement as usize + 1;

/// All resident records, found by their hash and told apart by their whole key.
#[derive(Default)]
pub struct State {
    records: HashTable<Record>,
    /// By kind.
    counts: [u64; KINDS],
    bytes: u64,
}

impl State {
    /// The value of a record.
    pub fn get(&self, hash: KeyHash, kind: RecordKind, id: &[u8]) -> Option<&[u8]> {
        self.records.find(hash.table_hash(), |record| record.is_of(hash, kind, id)).map(Record::value)
    }

    /// Puts a record in the place of whatever its key held.
    pub fn put(&mut self, hash: KeyHash, kind: RecordKind, record: Record) {
        let size = record.size() as u64;
        let entry = self.records.entry(hash.table_hash(), |other| other.key() == record.key(), table_hash);
        match entry {
            Entry::Occupied(mut occupied) => {
                self.bytes -= occupied.get().size() as u64;
                *occupied.get_mut() = record;
            }
            Entry::Vacant(vacant) => {
                vacant.insert(record);
                self.counts[kind as usize] += 1;
            }
        }
        self.bytes += size;
    }

    /// Removes a record.
    pub fn delete(&mut self, hash: KeyHash, kind: RecordKind, id: &[u8]) {
        let found = self.records.find_entry(hash.table_hash(), |record| record.is_of(hash, kind, id));
        if let Ok(entry) = found {
            let (record, _) = entry.remove();
            self.bytes -= record.size() as u64;
            self.counts[kind as usize] -= 1;
        }
    }

    /// How many records of a kind there are.
    pub fn count(&self, kind: RecordKind) -> u64 {
        self.counts[kind as usize]
    }

    /// Calls `each` with every record of a kind.
    pub fn each<'a>(&'a self, kind: RecordKind, mut each: impl FnMut(&'a Record)) {
        self.records.iter().filter(|record| record.is_kind(kind)).for_each(&mut each);
    }

    /// The bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Only records with a whole key get into the table, so each has a hash.
fn table_hash(record: &Record) -> u64 {
    record.hash().map_or(0, KeyHash::table_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ids_with_one_hash_share_nothing() {
        let hash = KeyHash::from_bits(42);
        let mut state = State::default();
        for id in ["alice", "bob"] {
            state.put(hash, RecordKind::Cart, Record::new(hash, RecordKind::Cart, id.as_bytes(), id.as_bytes()));
        }
        assert_eq!(state.get(hash, RecordKind::Cart, b"alice"), Some(&b"alice"[..]));
        assert_eq!(state.get(hash, RecordKind::Cart, b"bob"), Some(&b"bob"[..]));
        state.delete(hash, RecordKind::Cart, b"alice");
        assert_eq!(state.get(hash, RecordKind::Cart, b"alice"), None);
        assert_eq!(state.get(hash, RecordKind::Cart, b"bob"), Some(&b"bob"[..]));
    }

    #[test]
    fn sizes_and_counts_follow_every_change() {
        let hash = KeyHash::of("alice");
        let mut state = State::default();
        for value in [&b"short"[..], b"a longer one", b""] {
            state.put(hash, RecordKind::Cart, Record::new(hash, RecordKind::Cart, b"alice", value));
            assert_eq!(state.count(RecordKind::Cart), 1);
        }
        assert_eq!(state.bytes(), Record::new(hash, RecordKind::Cart, b"alice", b"").size() as u64);
        state.delete(hash, RecordKind::Cart, b"alice");
        state.delete(hash, RecordKind::Cart, b"alice");
        assert_eq!((state.count(RecordKind::Cart), state.bytes()), (0, 0));
    }
}
