//! Batches of writes that become durable together, and the dependency of a reply on one of them.

use hashbrown::HashTable;

use crate::routing::KeyHash;
use crate::storage::{Record, RecordKey, Write};

/// The commit that must be durable before a reply is sent: that of the newest write that it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CommitDependency {
    /// None: everything that the reply was computed from is durable.
    #[default]
    None,
    /// The commit of the batch that is being made durable.
    InFlight,
    /// The commit of the batch that commands add to.
    Open,
}

/// The writes of one atomic commit: the last one of each key.
#[derive(Default)]
pub struct Batch {
    writes: Vec<Write>,
    by_key: HashTable<usize>,
    bytes: usize,
    has_products: bool,
    sequence: u64,
}

impl Batch {
    /// Adds a write, in place of an earlier one of the same key.
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

    /// Notes that the batch changes products, so that lists of products depend on it.
    pub fn note_product(&mut self) {
        self.has_products = true;
    }

    /// True when the batch changes products.
    pub fn has_products(&self) -> bool {
        self.has_products
    }

    /// Adds a write of a record that no command reads.
    pub fn push_unread(&mut self, write: Write) {
        self.bytes += write.record().size();
        self.writes.push(write);
    }

    /// Notes the sequence of the commit. Nothing is added afterwards.
    pub fn seal(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The sequence of the commit; 0 for a batch that is still open.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The write of a record, if there is one.
    pub fn find(&self, key: RecordKey<'_>) -> Option<&Write> {
        if self.by_key.is_empty() {
            return None;
        }
        let at = self.by_key.find(key.hash.table_hash(), |at| self.writes[*at].record().is_of(key))?;
        Some(&self.writes[*at])
    }

    /// The writes.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The size of all keys and values, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// The value that a write stores; `None` when it deletes the record.
pub fn value_of(write: &Write) -> Option<&[u8]> {
    match write {
        Write::Put(record) => Some(Record::value(record)),
        Write::Delete(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RecordKind;

    #[test]
    fn the_last_write_of_a_key_counts() {
        let hash = KeyHash::of("a");
        let key = RecordKey { hash, kind: RecordKind::Kv, id: b"a" };
        let record = |value: &[u8]| Record::new(key, value);
        let mut batch = Batch::default();
        batch.push(hash, Write::Put(record(b"1")));
        batch.push(hash, Write::Put(record(b"22")));
        assert_eq!(batch.writes(), [Write::Put(record(b"22"))]);
        assert_eq!(batch.bytes(), record(b"22").size());
        batch.push(hash, Write::Delete(record(b"")));
        assert_eq!(batch.find(key).and_then(value_of), None);
        assert!(batch.find(key).is_some());
        assert!(batch.find(RecordKey { kind: RecordKind::Cart, ..key }).is_none());
    }
}
