//! Tests the log on a disk whose power fails during a write: of the sectors under way any may be there, old or new, or one
//! in the place of another. What was acknowledged is there after the next start, and each commit as a whole or not at all.
//! And on a disk whose files cannot be read for a while: the checkpoint fails and is tried again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::disk::{Disk, DiskFile, LocalDisk};
use super::ring::Sizes;
use super::storage::LogStorage;
use super::test_store::{ALL, Model, apply, copy, disk, noise};
use crate::routing::KeyHash;
use crate::storage::backend::Storage;
use crate::storage::record::{Record, RecordKey, RecordKind, Write};

const SIZES: Sizes = Sizes { file_bytes: 32 << 10, max_files: 6, min_free: 0 };
const COMMITS: u32 = 80;
const SECTOR: usize = 512;
/// Power failures that are tried; `SHARDCART_POWER_FAILURES` sets another number.
const FAILURES: u32 = 40;

/// A random number from a seed (splitmix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What is wrong with a disk.
struct Trouble {
    /// The write at which the power fails, counted from 0; `u32::MAX` for never.
    fails_at: u32,
    writes: AtomicU32,
    is_off: AtomicBool,
    /// True while files cannot be read.
    is_unreadable: AtomicBool,
    seed: u64,
}

impl Trouble {
    fn new(fails_at: u32, seed: u64) -> Arc<Self> {
        let (is_off, is_unreadable) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Trouble { fails_at, writes: AtomicU32::new(0), is_off, is_unreadable, seed })
    }

    fn check(&self) -> io::Result<()> {
        if self.is_off.load(Ordering::SeqCst) { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts a write. True if the power fails during it.
    fn fails_now(&self) -> io::Result<bool> {
        self.check()?;
        let fails = self.writes.fetch_add(1, Ordering::SeqCst) == self.fails_at;
        if fails {
            self.is_off.store(true, Ordering::SeqCst);
        }
        Ok(fails)
    }
}

struct TroubledDisk {
    disk: LocalDisk,
    directory: PathBuf,
    trouble: Arc<Trouble>,
}

struct TroubledFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    trouble: Arc<Trouble>,
}

impl TroubledDisk {
    fn open_in(directory: &Path, trouble: &Arc<Trouble>) -> Self {
        TroubledDisk { disk: disk(directory), directory: directory.join("log"), trouble: trouble.clone() }
    }

    fn wrap(&self, name: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(TroubledFile { file, path: self.directory.join(name), trouble: self.trouble.clone() })
    }
}

impl Disk for TroubledDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.trouble.check().and_then(|()| self.disk.names())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.trouble.check()?;
        Ok(self.wrap(name, self.disk.open(name)?))
    }

    fn create(&self, name: &str, bytes: u64, pause: &mut dyn FnMut(Duration)) -> io::Result<Box<dyn DiskFile>> {
        if self.trouble.fails_now()? {
            // A file of some length, or none.
            let length = random(&mut self.trouble.seed.clone()) % (bytes + 1);
            if length > 0 {
                File::create(self.directory.join(name))?.set_len(length)?;
            }
            return Err(io::Error::other("the power fails"));
        }
        Ok(self.wrap(name, self.disk.create(name, bytes, pause)?))
    }

    fn save(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if self.trouble.fails_now()? {
            fs::write(self.directory.join(name), &content[..content.len() / 2])?;
            return Err(io::Error::other("the power fails"));
        }
        self.disk.save(name, content)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.trouble.fails_now()? {
            if self.trouble.seed.is_multiple_of(2) {
                fs::rename(self.directory.join(from), self.directory.join(to))?;
            }
            return Err(io::Error::other("the power fails"));
        }
        self.disk.rename(from, to)
    }

    fn unit(&self) -> usize {
        self.disk.unit()
    }
}

impl DiskFile for TroubledFile {
    fn length(&self) -> io::Result<u64> {
        self.trouble.check().and_then(|()| self.file.length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.trouble.check()?;
        if self.trouble.is_unreadable.load(Ordering::SeqCst) {
            return Err(io::Error::other("it cannot be read"));
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, units: &[u8], offset: u64) -> io::Result<()> {
        if !self.trouble.fails_now()? {
            return self.file.write_at(units, offset);
        }
        let mut state = self.trouble.seed;
        let file = File::options().write(true).open(&self.path)?;
        let sectors = units.len() / SECTOR;
        for sector in 0..sectors {
            let source = match random(&mut state) % 8 {
                // Lost: what was there stays.
                0..=3 => continue,
                // In the place of another one.
                4 => random(&mut state) as usize % sectors,
                _ => sector,
            };
            file.write_all_at(&units[source * SECTOR..][..SECTOR], offset + (sector * SECTOR) as u64)?;
        }
        Err(io::Error::other("the power fails"))
    }

    fn sync(&self) -> io::Result<()> {
        self.trouble.check().and_then(|()| self.file.sync())
    }
}

/// A commit of some kilobytes that do not compress.
fn writes(number: u32) -> Vec<Write> {
    let noise = noise(number, (100 + number % 7 * 700) as usize);
    let record = |kind, id: u32, value: &[u8]| {
        let id = id.to_string();
        Write::Put(Record::new(RecordKey { hash: KeyHash::of(&id), kind, id: id.as_bytes() }, value))
    };
    vec![record(RecordKind::Cart, number % 9, &noise), record(RecordKind::Order, number, b"closed")]
}

fn content(storage: &LogStorage) -> Model {
    let mut found = Model::new();
    let mut take = |key: &[u8], value: &[u8]| {
        found.insert(key.to_vec(), value.to_vec());
        Ok(())
    };
    storage.load(&[RecordKind::Cart, RecordKind::Order], &ALL, &mut take).unwrap();
    found
}

/// What a client of the log knows.
#[derive(Default, Clone)]
struct Known {
    acknowledged: Model,
    /// The same with the commit that has not returned.
    maybe: Option<Model>,
}

/// Commits until that fails, and notes what is known.
fn commit_all(storage: &LogStorage, known: &Mutex<Known>) {
    for number in 0..COMMITS {
        let writes = writes(number);
        let mut with_it = known.lock().unwrap().acknowledged.clone();
        apply(&mut with_it, &writes);
        known.lock().unwrap().maybe = Some(with_it.clone());
        if storage.commit_next(&writes).is_err() {
            return;
        }
        *known.lock().unwrap() = Known { acknowledged: with_it, maybe: None };
    }
}

/// Commits until the power fails at a write; true if it did.
fn run(fails_at: u32, seed: u64) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("tables");
    let trouble = Trouble::new(fails_at, seed);
    let known = Arc::new(Mutex::new(Known::default()));
    if let Ok(storage) =
        LogStorage::open_on(Box::new(TroubledDisk::open_in(directory.path(), &trouble)), &tables, SIZES)
    {
        let (ended, end) = mpsc::channel();
        let client = known.clone();
        std::thread::spawn(move || {
            commit_all(&storage, &client);
            drop(storage);
            // An error means that nobody waits any more.
            let _ = ended.send(());
        });
        // Without power, background work that frees a file fails for ever, and with it the commit that waits for the file.
        while end.recv_timeout(Duration::from_millis(200)).is_err() && !trouble.is_off.load(Ordering::SeqCst) {}
    }
    // That commit keeps its files open, so the next start has a copy of them.
    let after = tempfile::tempdir().unwrap();
    copy(directory.path(), after.path());
    let tables = after.path().join("tables");
    // A start may lose its power, too.
    if seed.is_multiple_of(3) {
        let again = Trouble::new((seed % 12) as u32, seed);
        drop(LogStorage::open_on(Box::new(TroubledDisk::open_in(after.path(), &again)), &tables, SIZES));
    }
    let storage = LogStorage::open_on(Box::new(disk(after.path())), &tables, SIZES).unwrap();
    let found = content(&storage);
    let Known { acknowledged, maybe } = known.lock().unwrap().clone();
    assert!(found == acknowledged || Some(&found) == maybe.as_ref(), "write {fails_at}, seed {seed}: {}", found.len());
    trouble.is_off.load(Ordering::SeqCst)
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails() {
    let failures = std::env::var("SHARDCART_POWER_FAILURES").map_or(FAILURES, |text| text.parse().unwrap());
    let mut state = 7;
    let failed = (0..failures).filter(|_| run(random(&mut state) as u32 % 110, random(&mut state))).count();
    assert!(failed > failures as usize / 2, "the power failed {failed} times only");
}

/// Waits until something is so.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not within 30 s: {what}");
}

#[test]
fn a_checkpoint_that_fails_is_counted_and_tried_again_and_commits_go_on_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let trouble = Trouble::new(u32::MAX, 0);
    let disk = TroubledDisk::open_in(directory.path(), &trouble);
    let storage = LogStorage::open_on(Box::new(disk), &directory.path().join("tables"), SIZES).unwrap();
    trouble.is_unreadable.store(true, Ordering::SeqCst);
    let mut model = Model::new();
    let mut number = 0;
    // Until the log is at its cap; the batch that is under way then still has its place.
    while storage.has_room() || storage.background_failures() == 0 {
        storage.commit_next(&writes(number)).unwrap();
        apply(&mut model, &writes(number));
        number += 1;
        if !storage.has_room() {
            wait_until("the checkpoint has failed, or there is room", || {
                storage.background_failures() > 0 || storage.has_room()
            });
        }
    }
    assert!(number > 10, "{number} commits");
    trouble.is_unreadable.store(false, Ordering::SeqCst);
    wait_until("there is room again", || storage.has_room());
    storage.commit_next(&writes(number)).unwrap();
    apply(&mut model, &writes(number));
    assert_eq!(content(&storage), model);
}
