//! Storage that is lost when the process ends, for benchmarks. Resident records are kept only until they are
//! loaded, as when a new store is filled from a catalog; after that the shard holds them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backend::{Loaded, Storage};
use super::record::{KEY_PREFIX_BYTES, RecordKind, Write};
use crate::error::Result;

type Bytes = Box<[u8]>;

/// The records that the shard does not hold in memory itself.
#[derive(Default)]
pub struct MemoryStorage {
    records: Mutex<HashMap<Bytes, Bytes>>,
    /// True once the shard has loaded the resident records.
    is_loaded: AtomicBool,
}

impl MemoryStorage {
    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Bytes>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeps(&self, write: &Write) -> bool {
        !self.is_loaded.load(Ordering::Relaxed) || !is_held_by_the_shard(write.record().key())
    }
}

impl Storage for MemoryStorage {
    fn load(&self, each: &mut Loaded<'_>) -> Result<()> {
        let mut records = self.lock();
        self.is_loaded.store(true, Ordering::Relaxed);
        records.iter().try_for_each(|(key, value)| each(key, value))?;
        records.retain(|key, _| !is_held_by_the_shard(key));
        records.shrink_to_fit();
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().get(key).map(|value| value.to_vec()))
    }

    fn commit(&self, batch: &[Write]) -> Result<()> {
        if !batch.iter().any(|write| self.keeps(write)) {
            return Ok(());
        }
        let mut records = self.lock();
        for write in batch.iter().filter(|write| self.keeps(write)) {
            match write {
                Write::Put(record) => records.insert(record.key().into(), record.value().into()),
                Write::Delete(record) => records.remove(record.key()),
            };
        }
        Ok(())
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

fn is_held_by_the_shard(key: &[u8]) -> bool {
    let kind = key.get(KEY_PREFIX_BYTES - 1).and_then(|kind| RecordKind::try_from(*kind).ok());
    kind.is_none_or(RecordKind::is_resident)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::KeyHash;
    use crate::storage::{Record, RecordKey};

    #[test]
    fn resident_records_are_dropped_once_they_are_loaded() {
        let storage = MemoryStorage::default();
        let write = |id: &str| {
            Write::Put(Record::new(
                RecordKey { hash: KeyHash::of(id), kind: RecordKind::Product, id: id.as_bytes() },
                b"value",
            ))
        };
        storage.commit(&[write("before")]).unwrap();
        let loaded = || {
            let mut keys = Vec::new();
            let mut take = |key: &[u8], _: &[u8]| {
                keys.push(key.to_vec());
                Ok(())
            };
            storage.load(&mut take).unwrap();
            keys
        };
        assert_eq!(loaded(), [write("before").record().key()]);
        storage.commit(&[write("after")]).unwrap();
        assert!(loaded().is_empty());
    }
}
