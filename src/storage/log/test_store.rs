//! Stores for the tests of the log: filled, copied, and compared with a model.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use super::disk::LocalDisk;
use super::manifest::MANIFEST;
use super::ring::Sizes;
use super::storage::LogStorage;
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::routing::{DeliveryId, KeyHash, OrderId, SLOTS, Slot};
use crate::storage::backend::Storage;
use crate::storage::codec;
use crate::storage::record::{COUNTER_KEY, Record, RecordKey, RecordKind, Write};

/// Small files, so that a few hundred commits go around the ring.
pub const SIZES: Sizes = Sizes { file_bytes: 64 << 10, max_files: 12, min_free: 0 };

pub const ALL: RangeInclusive<u16> = 0..=SLOTS - 1;

pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn key(kind: RecordKind, number: u32) -> Record {
    let id = format!("id-{number}");
    Record::new(RecordKey { hash: KeyHash::of(&id), kind, id: id.as_bytes() }, b"")
}

pub fn put(kind: RecordKind, number: u32, value: &[u8]) -> Write {
    Write::Put(Record::from_parts(key(kind, number).key(), value))
}

/// Applies a commit to the storage and to the model.
pub fn commit(storage: &LogStorage, model: &mut Model, writes: Vec<Write>) {
    storage.commit_next(&writes).unwrap();
    apply(model, &writes);
}

/// Applies a commit to the model.
pub fn apply(model: &mut Model, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Put(record) => model.insert(record.key().to_vec(), record.value().to_vec()),
            Write::Delete(record) => model.remove(record.key()),
        };
    }
}

/// The disk of the log in a directory.
pub fn disk(directory: &Path) -> LocalDisk {
    LocalDisk::open(&directory.join("log"), MANIFEST).unwrap()
}

pub fn open(directory: &Path) -> Result<LogStorage> {
    LogStorage::open_on(Box::new(disk(directory)), &directory.join("tables"), SIZES)
}

/// Everything that a storage has: what it loads, and what is read one by one.
pub fn content(storage: &LogStorage, model: &Model) -> Result<Model> {
    let mut found = Model::new();
    storage.load(&RecordKind::LOADED, &ALL, &mut |key, value| {
        found.insert(key.to_vec(), value.to_vec());
        Ok(())
    })?;
    for key in model.keys() {
        if let Some(value) = storage.get(key)? {
            found.insert(key.clone(), value);
        }
    }
    found.extend(scanned(storage, RecordKind::Delivery, 100)?);
    Ok(found)
}

/// Makes some commits, a few of them large, in which records, versions and the counter are as a shard writes them. Stores
/// of different seeds have the same keys and different values.
pub fn fill(storage: &LogStorage, model: &mut Model, seed: u8, numbers: Range<u32>) {
    numbers.for_each(|number| commit(storage, model, writes(seed, number)));
}

/// What a store of a seed has after so many commits.
pub fn model_at(seed: u8, commits: u32) -> Model {
    let mut model = Model::new();
    (0..commits).for_each(|number| apply(&mut model, &writes(seed, number)));
    model
}

fn writes(seed: u8, number: u32) -> Vec<Write> {
    let version = u64::from(number) + 1;
    let text = format!("{number}-{seed} ").repeat(if number.is_multiple_of(50) { 3_000 } else { 40 });
    let id = u128::from(number);
    let delivery = Delivery {
        version,
        id: DeliveryId::new(Slot(7), 1_763_900_000_000, id),
        order: OrderId::new(Slot(7), 1_763_900_000_000, id),
        address: format!("{seed} Main St"),
        courier: "local".into(),
        status: DeliveryStatus::Dispatched,
        updated_at: Timestamp::default(),
    };
    let mut writes = vec![
        put(RecordKind::Kv, number % 37, &codec::encode_value(version, &text)),
        put(RecordKind::Delivery, number, &codec::encode_delivery(&delivery)),
        Write::Put(Record::from_parts(COUNTER_KEY, &version.to_be_bytes())),
    ];
    if number.is_multiple_of(3) {
        writes.push(Write::Delete(key(RecordKind::Kv, (number + 5) % 37)));
    }
    writes
}

/// A store that was stopped, with a few hundred commits that went around the ring more than once.
pub fn filled(directory: &Path) -> Model {
    let mut model = Model::new();
    fill(&open(directory).unwrap(), &mut model, 0, 0..300);
    model
}

/// All records of a kind, scanned in pages of a size.
pub fn scanned(storage: &LogStorage, kind: RecordKind, limit: usize) -> Result<Model> {
    let mut found = Model::new();
    let mut after = Vec::new();
    loop {
        let page = storage.scan(kind, &ALL, &after, limit)?;
        for record in page.records {
            assert!(found.last_key_value().is_none_or(|(last, _)| &last[..] < record.key()), "in the order of keys");
            found.insert(record.key().to_vec(), record.value().to_vec());
        }
        let Some(next) = page.next else { return Ok(found) };
        after = next;
    }
}

/// All files below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Copies a directory; again if a file of it went meanwhile, as fjall's do when it compacts.
pub fn copy(from: &Path, to: &Path) {
    let copied = || -> std::io::Result<bool> {
        let before = files(from);
        for path in &before {
            let target = to.join(path.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap())?;
            fs::copy(path, target)?;
        }
        Ok(files(from) == before)
    };
    while !copied().unwrap_or(false) {
        fs::remove_dir_all(to).unwrap();
    }
}

/// Bytes that do not compress.
pub fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
