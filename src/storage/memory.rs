//! Storage that is lost when the process ends, for benchmarks. Resident records are kept only until they are
//! loaded, as when a new store is filled from a catalog; after that the shard holds them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backend::{Loaded, Outcome, Page, Storage, as_slices, keys_after};
use super::record::{COUNTER_KEY, HEADER_KEY, RecordKind, Write, kind_of};
use crate::error::Result;

type Bytes = Box<[u8]>;

/// The records that the shard does not hold in memory itself.
#[derive(Default)]
pub struct MemoryStorage {
    records: Mutex<BTreeMap<Bytes, Bytes>>,
    sequence: AtomicU64,
    /// True once the shard has loaded the resident records.
    is_loaded: AtomicBool,
}

impl MemoryStorage {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Bytes, Bytes>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeps(&self, write: &Write) -> bool {
        !self.is_loaded.load(Ordering::Relaxed) || !is_held_by_the_shard(write.record().key())
    }

    fn write(&self, batch: &[Write]) {
        if !batch.iter().any(|write| self.keeps(write)) {
            return;
        }
        let mut records = self.lock();
        for write in batch.iter().filter(|write| self.keeps(write)) {
            match write {
                Write::Put(record) => records.insert(record.key().into(), record.value().into()),
                Write::Delete(record) => records.remove(record.key()),
            };
        }
    }
}

impl Storage for MemoryStorage {
    fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    fn load(&self, kinds: &[RecordKind], slots: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()> {
        let mut records = self.lock();
        self.is_loaded.store(true, Ordering::Relaxed);
        for key in [HEADER_KEY, COUNTER_KEY] {
            records.get(key).map_or(Ok(()), |value| each(key, value))?;
        }
        let of_slots = records.range::<[u8], _>(as_slices(&keys_after(slots, &[])));
        let mut wanted = of_slots.filter(|(key, _)| kind_of(key).is_some_and(|kind| kinds.contains(&kind)));
        wanted.try_for_each(|(key, value)| each(key, value))?;
        records.retain(|key, _| !is_held_by_the_shard(key));
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().get(key).map(|value| value.to_vec()))
    }

    fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
        let records = self.lock();
        Page::of(records.range::<[u8], _>(as_slices(&keys_after(slots, after))).map(Ok), kind, limit)
    }

    fn commit(&self, batch: &[Write], sequence: u64) -> Outcome {
        if self.sequence.compare_exchange(sequence - 1, sequence, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Outcome::Fenced;
        }
        self.write(batch);
        Outcome::Committed
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

fn is_held_by_the_shard(key: &[u8]) -> bool {
    kind_of(key).is_none_or(RecordKind::is_resident)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{KeyHash, SLOTS};
    use crate::storage::{Record, RecordKey};

    const ALL: RangeInclusive<u16> = 0..=SLOTS - 1;

    fn write(kind: RecordKind, id: &str) -> Write {
        Write::Put(Record::new(RecordKey { hash: KeyHash::of(id), kind, id: id.as_bytes() }, b"value"))
    }

    #[test]
    fn resident_records_are_dropped_once_they_are_loaded() {
        let storage = MemoryStorage::default();
        let product = |id: &str| write(RecordKind::Product, id);
        storage.commit_next(&[product("before")]).unwrap();
        let loaded = || {
            let mut keys = Vec::new();
            let mut take = |key: &[u8], _: &[u8]| {
                keys.push(key.to_vec());
                Ok(())
            };
            storage.load(&RecordKind::LOADED, &ALL, &mut take).unwrap();
            keys
        };
        assert_eq!(loaded(), [product("before").record().key()]);
        storage.commit_next(&[product("after")]).unwrap();
        assert!(loaded().is_empty());
    }

    #[test]
    fn a_commit_under_another_sequence_is_fenced() {
        let storage = MemoryStorage::default();
        assert!(matches!(storage.commit(&[write(RecordKind::Order, "a")], 1), Outcome::Committed));
        assert!(matches!(storage.commit(&[write(RecordKind::Order, "b")], 1), Outcome::Fenced));
        assert!(matches!(storage.commit(&[write(RecordKind::Order, "c")], 3), Outcome::Fenced));
        assert_eq!(storage.scan(RecordKind::Order, &ALL, &[], 10).unwrap().records.len(), 1);
    }
}
