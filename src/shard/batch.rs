//! The effects that become durable together, and where a read finds those that are not yet.

use hashbrown::HashTable;

use crate::routing::KeyHash;
use crate::storage::Record;
use crate::storage::RecordKind;
use crate::storage::Write;

/// Writes for one atomic commit, the last one of each key.
#[derive(Default)]
pub struct Batch {
    writes: Vec<Write>,
    by_key: HashTable<usize>,
    bytes: usize,
    has_products: bool,
}

impl Batch {
    /// Adds a write of a record, in the place of an earlier one of the same key.
    pub fn push(&mut self, hash: KeyHash, write: Write) {
        let writes = &mut self.writes;
        let same_key = |at: &usize| writes[*at].record().key() == write.record().key();
        self.bytes += write.record().size();
        if let Some(at) = self.by_key.find(hash.table_hash(), same_key) {
            let replaced = std::mem::replace(&mut writes[*at], write);
            self.bytes -= replaced.record().size();
            return;
        }
        let rehash = |at: &usize| writes[*at].record().hash().map_or(0, KeyHash::table_hash);
        self.by_key.insert_unique(hash.table_hash(), writes.len(), rehash);
        writes.push(write);
    }

    /// Notes that products are among the writes: a list of products depends on it.
    pub fn note_product(&mut self) {
        self.has_products = true;
    }

    /// Whether products are among the writes.
    pub fn has_products(&self) -> bool {
        self.has_products
    }

    /// Adds a write of something that no command reads.
    pub fn push_unread(&mut self, write: Write) {
        self.bytes += write.record().size();
        self.writes.push(write);
    }

    /// What it does to a record, if anything.
    pub fn find(&self, hash: KeyHash, kind: RecordKind, id: &[u8]) -> Option<&Write> {
        if self.by_key.is_empty() {
            return None;
        }
        let at = self.by_key.find(hash.table_hash(), |at| self.writes[*at].record().is_of(hash, kind, id))?;
        Some(&self.writes[*at])
    }

    /// The writes.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// What a batch says of a key: the record put, or that it was deleted.
pub fn value_of(write: &Write) -> Option<&[u8]> {
    match write {
        Write::Put(record) => Some(Record::value(record)),
        Write::Delete(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_a_key_counts() {
        let hash = KeyHash::of("a");
        let record = |value: &[u8]| Record::new(hash, RecordKind::Kv, b"a", value);
        let mut batch = Batch::default();
        batch.push(hash, Write::Put(record(b"1")));
        batch.push(hash, Write::Put(record(b"22")));
        assert_eq!(batch.writes(), [Write::Put(record(b"22"))]);
        assert_eq!(batch.bytes(), record(b"22").size());
        batch.push(hash, Write::Delete(record(b"")));
        assert_eq!(batch.find(hash, RecordKind::Kv, b"a").and_then(value_of), None);
        assert!(batch.find(hash, RecordKind::Kv, b"a").is_some());
        assert!(batch.find(hash, RecordKind::Cart, b"a").is_none());
    }
}
