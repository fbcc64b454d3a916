//! Storage that forgets everything when the process ends, for benchmarks. What the shard itself
//! holds in memory is not kept twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Loaded, Storage, Write};
use crate::error::Result;
use crate::key::Kind;
use crate::record::KEY_PREFIX_BYTES;

type Bytes = Box<[u8]>;

/// Holds the records that the shard itself does not.
#[derive(Default)]
pub struct MemoryStorage {
    records: Mutex<HashMap<Bytes, Bytes>>,
}

impl Storage for MemoryStorage {
    fn load(&self, _each: &mut Loaded<'_>) -> Result<()> {
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(records.get(key).map(|value| value.to_vec()))
    }

    fn write(&self, batch: &[Write]) -> Result<()> {
        if batch.iter().all(|write| is_held_by_the_shard(write.record().key())) {
            return Ok(());
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for write in batch.iter().filter(|write| !is_held_by_the_shard(write.record().key())) {
            match write {
                Write::Put(record) => records.insert(record.key().into(), record.value().into()),
                Write::Delete(record) => records.remove(record.key()),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

fn is_held_by_the_shard(key: &[u8]) -> bool {
    let kind = key.get(KEY_PREFIX_BYTES - 1).and_then(|kind| Kind::try_from(*kind).ok());
    kind.is_none_or(Kind::is_resident)
}
