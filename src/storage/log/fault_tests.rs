//! Tests the log on a disk that fails: with an error or a short write at each call in turn. What was acknowledged is there
//! after the next start.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::disk::{Disk, DiskFile, LocalDisk};
use super::file_header::FileHeader;
use super::frame::{Payload, Place};
use super::ring::Sizes;
use super::storage::LogStorage;
use super::test_store::{ALL, Model, apply, disk};
use crate::routing::KeyHash;
use crate::storage::backend::Storage;
use crate::storage::record::{Record, RecordKey, RecordKind, Write};

const SIZES: Sizes = Sizes { file_bytes: 32 << 10, max_files: 6, min_free: 0 };
const COMMITS: u32 = 60;

/// The failure of one call.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Error(io::ErrorKind),
    /// A write does the first half and says so.
    Short,
}

/// Counts calls, and fails one of them.
struct Faults {
    calls: AtomicU32,
    at: u32,
    fault: Fault,
}

impl Faults {
    fn meet(&self) -> Option<Fault> {
        (self.calls.fetch_add(1, Ordering::Relaxed) == self.at).then_some(self.fault)
    }

    fn check(&self) -> io::Result<()> {
        match self.meet() {
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::Short) => Err(io::ErrorKind::Interrupted.into()),
            None => Ok(()),
        }
    }
}

struct FaultyDisk {
    disk: LocalDisk,
    faults: Arc<Faults>,
}

struct FaultyFile {
    file: Box<dyn DiskFile>,
    faults: Arc<Faults>,
    unit: usize,
}

impl FaultyDisk {
    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, faults: self.faults.clone(), unit: self.disk.unit() })
    }
}

impl Disk for FaultyDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.faults.check().and_then(|()| self.disk.names())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.faults.check()?;
        Ok(self.wrap(self.disk.open(name)?))
    }

    fn create(&self, name: &str, bytes: u64, pause: &mut dyn FnMut(Duration)) -> io::Result<Box<dyn DiskFile>> {
        self.faults.check()?;
        Ok(self.wrap(self.disk.create(name, bytes, pause)?))
    }

    fn save(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.faults.check().and_then(|()| self.disk.save(name, content))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.faults.check().and_then(|()| self.disk.rename(from, to))
    }

    fn unit(&self) -> usize {
        self.disk.unit()
    }
}

impl DiskFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.faults.check().and_then(|()| self.file.length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.faults.check().and_then(|()| self.file.read_at(buffer, offset))
    }

    fn write_at(&self, units: &[u8], offset: u64) -> io::Result<()> {
        match self.faults.meet() {
            None => self.file.write_at(units, offset),
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::Short) => {
                let half = (units.len() / 2).next_multiple_of(self.unit).min(units.len());
                self.file.write_at(&units[..half], offset)?;
                Err(io::ErrorKind::WriteZero.into())
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.check().and_then(|()| self.file.sync())
    }
}

fn writes(number: u32) -> Vec<Write> {
    let record = |kind, id: String, value: &[u8]| {
        Write::Put(Record::new(RecordKey { hash: KeyHash::of(&id), kind, id: id.as_bytes() }, value))
    };
    let value = number.to_le_bytes().repeat(if number.is_multiple_of(10) { 5_000 } else { 30 });
    vec![
        record(RecordKind::Cart, format!("cart-{}", number % 5), &value),
        record(RecordKind::Order, number.to_string(), b"x"),
    ]
}

fn content(storage: &LogStorage) -> Model {
    let mut found = Model::new();
    storage
        .load(&RecordKind::LOADED, &ALL, &mut |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(())
        })
        .unwrap();
    for number in 0..COMMITS {
        let key = writes(number)[1].record().key().to_vec();
        if let Some(value) = storage.get(&key).unwrap() {
            found.insert(key, value);
        }
    }
    found
}

/// Runs commits on a disk that fails at one call; true if that call came.
fn run(at: u32, fault: Fault) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("tables");
    let faults = Arc::new(Faults { calls: AtomicU32::new(0), at, fault });
    let (mut acknowledged, mut maybe) = (Model::new(), None);
    let faulty = FaultyDisk { disk: disk(directory.path()), faults: faults.clone() };
    if let Ok(storage) = LogStorage::open_on(Box::new(faulty), &tables, SIZES) {
        for number in 0..COMMITS {
            let writes = writes(number);
            let mut with_it = acknowledged.clone();
            apply(&mut with_it, &writes);
            if storage.commit_next(&writes).is_err() {
                // The process would end here.
                maybe = Some(with_it);
                break;
            }
            acknowledged = with_it;
        }
    }
    let storage = LogStorage::open_on(Box::new(disk(directory.path())), &tables, SIZES).unwrap();
    let found = content(&storage);
    assert!(found == acknowledged || Some(&found) == maybe.as_ref(), "call {at}, {fault:?}: {} records", found.len());
    faults.calls.load(Ordering::Relaxed) > at
}

#[test]
fn nothing_acknowledged_is_lost_whatever_call_fails() {
    for (offset, fault) in [Fault::Error(io::ErrorKind::StorageFull), Fault::Error(io::ErrorKind::Other), Fault::Short]
        .into_iter()
        .enumerate()
    {
        // Every call of the opening, then a sample.
        let early = 0..24;
        let later = (24 + offset as u32..).step_by(13);
        let tried = early.chain(later).take_while(|at| run(*at, fault)).count();
        assert!(tried > 20, "only {tried} calls came");
    }
}

/// A disk without space: files that are there can be written, no more can be made.
struct FullDisk(LocalDisk);

impl Disk for FullDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(name)
    }

    fn create(&self, _: &str, _: u64, _: &mut dyn FnMut(Duration)) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn save(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn unit(&self) -> usize {
        self.0.unit()
    }
}

#[test]
fn a_torn_commit_does_not_keep_a_full_disk_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("tables");
    let mut model = Model::new();
    let storage = LogStorage::open_on(Box::new(disk(directory.path())), &tables, SIZES).unwrap();
    for number in 1..4 {
        storage.commit_next(&writes(number)).unwrap();
        apply(&mut model, &writes(number));
    }
    drop(storage);
    // The header of a fourth commit is there, its payload is not.
    let unit = disk(directory.path()).unit();
    let path = directory.path().join("log/0000.log");
    let header = FileHeader::decode(&fs::read(&path).unwrap()).unwrap();
    let place = Place { ring: header.ring, file: header.number, offset: 4 * unit as u64 };
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&Payload::of(&writes(4)).header(place, 4, 3), place.offset).unwrap();
    let full = FullDisk(disk(directory.path()));
    let storage = LogStorage::open_on(Box::new(full), &tables, SIZES).unwrap();
    assert_eq!(content(&storage), model);
    assert!(fs::read(&path).unwrap()[place.offset as usize..].iter().all(|byte| *byte == 0));
}
