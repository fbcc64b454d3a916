//! Tests the log as a whole: what was committed is there after every kind of end, and damage is refused.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use tempfile::TempDir;

use super::disk::LocalDisk;
use super::manifest::MANIFEST;
use super::ring::Sizes;
use super::storage::LogStorage;
use crate::error::Result;
use crate::routing::{KeyHash, SLOTS};
use crate::storage::backend::{Outcome, Storage};
use crate::storage::record::{Record, RecordKey, RecordKind, Write, kind_of};

/// Small files, so that a few hundred commits go around the ring.
const SIZES: Sizes = Sizes { file_bytes: 64 << 10, max_files: 12 };

const ALL: RangeInclusive<u16> = 0..=SLOTS - 1;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(kind: RecordKind, number: u32) -> Record {
    let id = format!("id-{number}");
    Record::new(RecordKey { hash: KeyHash::of(&id), kind, id: id.as_bytes() }, b"")
}

fn put(kind: RecordKind, number: u32, value: &[u8]) -> Write {
    Write::Put(Record::from_parts(key(kind, number).key(), value))
}

/// Applies a commit to the storage and to the model.
fn commit(storage: &LogStorage, model: &mut Model, writes: Vec<Write>) {
    storage.commit_next(&writes).unwrap();
    for write in writes {
        match write {
            Write::Put(record) => model.insert(record.key().to_vec(), record.value().to_vec()),
            Write::Delete(record) => model.remove(record.key()),
        };
    }
}

fn open(directory: &Path) -> Result<LogStorage> {
    let disk = LocalDisk::open(&directory.join("log"), MANIFEST).unwrap();
    LogStorage::open_on(Box::new(disk), &directory.join("tables"), SIZES)
}

/// Everything that a storage has: what it loads, and what is read one by one.
fn content(storage: &LogStorage, model: &Model) -> Result<Model> {
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
    Ok(found)
}

/// A store with a few hundred commits, some of them large, that went around the ring more than once.
fn filled(directory: &Path) -> Model {
    let storage = open(directory).unwrap();
    let mut model = Model::new();
    for number in 0..300_u32 {
        let value = number.to_le_bytes().repeat(if number % 50 == 0 { 3_000 } else { 40 });
        let mut writes = vec![put(RecordKind::Cart, number % 37, &value), put(RecordKind::Order, number, b"closed")];
        if number % 3 == 0 {
            writes.push(Write::Delete(key(RecordKind::Cart, (number + 5) % 37)));
        }
        commit(&storage, &mut model, writes);
    }
    drop(storage);
    model
}

#[test]
fn commits_are_there_after_a_clean_end_and_around_the_ring() {
    let directory = tempfile::tempdir().unwrap();
    let mut model = filled(directory.path());
    for round in 0..3 {
        let storage = open(directory.path()).unwrap();
        assert_eq!(content(&storage, &model).unwrap(), model, "round {round}");
        commit(&storage, &mut model, vec![put(RecordKind::Kv, round, b"again")]);
    }
}

#[test]
fn a_record_is_read_from_the_log_and_from_the_tables() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path()).unwrap();
    let order = key(RecordKind::Order, 1);
    assert_eq!(storage.get(order.key()).unwrap(), None);
    let mut model = Model::new();
    commit(&storage, &mut model, vec![put(RecordKind::Order, 1, b"one")]);
    assert_eq!(storage.get(order.key()).unwrap().as_deref(), Some(&b"one"[..]));
    storage.load(&RecordKind::LOADED, &ALL, &mut |_, _| Ok(())).unwrap();
    assert_eq!(storage.get(order.key()).unwrap().as_deref(), Some(&b"one"[..]));
    commit(&storage, &mut model, vec![Write::Delete(order.clone())]);
    assert_eq!(storage.get(order.key()).unwrap(), None);
}

/// All records of a kind, scanned in pages of a size.
fn scanned(storage: &LogStorage, kind: RecordKind, limit: usize) -> Model {
    let mut found = Model::new();
    let mut after = Vec::new();
    loop {
        let page = storage.scan(kind, &ALL, &after, limit).unwrap();
        for record in page.records {
            assert!(found.last_key_value().is_none_or(|(last, _)| &last[..] < record.key()), "in the order of keys");
            found.insert(record.key().to_vec(), record.value().to_vec());
        }
        let Some(next) = page.next else { return found };
        after = next;
    }
}

#[test]
fn a_commit_under_another_sequence_is_fenced() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path()).unwrap();
    storage.commit_next(&[put(RecordKind::Order, 1, b"one")]).unwrap();
    for sequence in [0, 1, 3] {
        let outcome = storage.commit(&[put(RecordKind::Order, 1, b"two")], sequence);
        assert!(matches!(outcome, Outcome::Fenced), "{sequence}: {outcome:?}");
    }
    assert_eq!(storage.get(key(RecordKind::Order, 1).key()).unwrap().as_deref(), Some(&b"one"[..]));
    drop(storage);
    assert_eq!(open(directory.path()).unwrap().sequence(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Put(RecordKind, u32, u8),
    Delete(RecordKind, u32),
    /// Everything goes to the tables.
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || {
        prop_oneof![
            Just(RecordKind::Order),
            Just(RecordKind::Delivery),
            Just(RecordKind::Settlement),
            Just(RecordKind::Cart)
        ]
    };
    prop_oneof![
        6 => (kind(), 0..20_u32, any::<u8>()).prop_map(|(kind, number, value)| Step::Put(kind, number, value)),
        3 => (kind(), 0..20_u32).prop_map(|(kind, number)| Step::Delete(kind, number)),
        1 => Just(Step::Checkpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_scan_sees_log_and_tables_as_one(steps in prop::collection::vec(step(), 1..60), limit in 1..8_usize) {
        let directory = tempfile::tempdir().unwrap();
        let storage = open(directory.path()).unwrap();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Put(kind, number, value) => commit(&storage, &mut model, vec![put(kind, number, &[value])]),
                Step::Delete(kind, number) => commit(&storage, &mut model, vec![Write::Delete(key(kind, number))]),
                Step::Checkpoint => storage.load(&[], &ALL, &mut |_, _| Ok(())).unwrap(),
            }
        }
        for kind in [RecordKind::Order, RecordKind::Delivery, RecordKind::Settlement] {
            let expected: Model = model.clone().into_iter().filter(|(key, _)| kind_of(key) == Some(kind)).collect();
            prop_assert_eq!(scanned(&storage, kind, limit), expected);
        }
        let half = 0..=SLOTS / 2;
        let mut loaded = Model::new();
        storage.load(&[RecordKind::Cart, RecordKind::Order], &half, &mut |key, value| {
            loaded.insert(key.to_vec(), value.to_vec());
            Ok(())
        }).unwrap();
        let is_wanted = |key: &[u8]| {
            let slot = Record::from_parts(key, b"").hash().unwrap().slot().0;
            matches!(kind_of(key), Some(RecordKind::Cart | RecordKind::Order)) && half.contains(&slot)
        };
        let expected: Model = model.into_iter().filter(|(key, _)| is_wanted(key)).collect();
        prop_assert_eq!(loaded, expected);
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The sectors in which two files of equal length differ.
fn differing_sectors(one: &[u8], other: &[u8]) -> Vec<usize> {
    (0..one.len() / SECTOR).filter(|at| one[at * SECTOR..][..SECTOR] != other[at * SECTOR..][..SECTOR]).collect()
}

/// A commit under way when the power fails: any of its sectors may be there, the others are as before.
#[test]
fn every_way_to_tear_the_last_commit_starts() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = tempfile::tempdir().unwrap();
    // Laps before, so that old frames lie where the torn one goes.
    let mut model = filled(store.path());
    let storage = open(store.path()).unwrap();
    for number in 0..3 {
        commit(&storage, &mut model, vec![put(RecordKind::Cart, number, &noise(number, 6_000))]);
    }
    copy(store.path(), before.path());
    let model_before = model.clone();
    commit(&storage, &mut model, vec![put(RecordKind::Cart, 1, &noise(999, 3_000)), put(RecordKind::Cart, 2, b"x")]);
    copy(store.path(), after.path());
    drop(storage);
    let changed: Vec<_> = files(&after.path().join("log"))
        .into_iter()
        .filter_map(|path| {
            let old = fs::read(before.path().join(path.strip_prefix(after.path()).unwrap())).unwrap();
            let new = fs::read(&path).unwrap();
            let sectors = differing_sectors(&old, &new);
            let is_file = path.extension().is_some_and(|extension| extension == "log");
            (is_file && !sectors.is_empty()).then_some((path, old, new, sectors))
        })
        .collect();
    let [(path, old, new, sectors)] = changed.as_slice() else { panic!("{} files have changed", changed.len()) };
    assert!((6..=8).contains(&sectors.len()), "{sectors:?}");
    let all = (1_u32 << sectors.len()) - 1;
    let runs = (0..=sectors.len()).flat_map(|count| [all >> count, all & all << count]);
    let singles = (0..sectors.len()).flat_map(|bit| [1 << bit, all & !(1 << bit)]);
    for subset in runs.chain(singles) {
        let torn = tempfile::tempdir().unwrap();
        copy(before.path(), torn.path());
        let mut mixed = old.clone();
        for (_, sector) in sectors.iter().enumerate().filter(|(bit, _)| subset & 1 << bit != 0) {
            mixed[sector * SECTOR..][..SECTOR].copy_from_slice(&new[sector * SECTOR..][..SECTOR]);
        }
        let is_whole = mixed == *new;
        fs::write(torn.path().join(path.strip_prefix(after.path()).unwrap()), mixed).unwrap();
        let mut storage = open(torn.path()).unwrap();
        let expected = if is_whole { &model } else { &model_before };
        assert!(content(&storage, expected).unwrap() == *expected, "subset {subset:b}");
        // What comes after it is found as well.
        let mut expected = expected.clone();
        commit(&storage, &mut expected, vec![put(RecordKind::Kv, 1, b"after")]);
        drop(storage);
        storage = open(torn.path()).unwrap();
        assert!(content(&storage, &expected).unwrap() == expected, "subset {subset:b}");
    }
}

/// Bytes that do not compress.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A damage to one file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index),
    Duplicate(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
    Remove,
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => index().prop_map(Damage::Zero),
        2 => (index(), index()).prop_map(|(from, to)| Damage::Duplicate(from, to)),
        1 => index().prop_map(Damage::Truncate),
        1 => Just(Damage::Remove),
    ]
}

const SECTOR: usize = 512;
/// Damages that are tried; `PROPTEST_CASES` sets another number.
const DAMAGES: u32 = 200;

fn apply(damage: &Damage, path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    if bytes.is_empty() || matches!(damage, Damage::Remove) {
        return fs::remove_file(path).unwrap();
    }
    let sectors = bytes.len().div_ceil(SECTOR);
    let sector = |at: &prop::sample::Index| at.index(sectors) * SECTOR;
    match damage {
        Damage::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Damage::Zero(at) => {
            let end = (sector(at) + SECTOR).min(bytes.len());
            bytes[sector(at)..end].fill(0);
        }
        Damage::Duplicate(from, to) => {
            let (from, to) = (sector(from), sector(to));
            let length = SECTOR.min(bytes.len() - from).min(bytes.len() - to);
            bytes.copy_within(from..from + length, to);
        }
        Damage::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Remove => {}
    }
    fs::write(path, bytes).unwrap();
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

/// A store that was stopped, and what it holds.
fn whole() -> &'static (TempDir, Model) {
    static WHOLE: LazyLock<(TempDir, Model)> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let model = filled(directory.path());
        (directory, model)
    });
    &WHOLE
}

/// Opens a copy of the whole store after something was done to it. True when it was refused; nothing may be lost.
fn is_refused(harm: impl FnOnce(&Path)) -> bool {
    let (whole, model) = whole();
    let damaged = tempfile::tempdir().unwrap();
    copy(whole.path(), damaged.path());
    harm(damaged.path());
    match open(damaged.path()).and_then(|storage| content(&storage, model)) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            true
        }
        Ok(found) => {
            assert!(found == *model, "{} of {} records", found.len(), model.len());
            false
        }
    }
}

#[test]
fn a_file_that_is_gone_is_noticed() {
    let (whole, _) = whole();
    for path in files(whole.path()) {
        let name = path.strip_prefix(whole.path()).unwrap();
        let refused = is_refused(|directory| fs::remove_file(directory.join(name)).unwrap());
        // fjall leaves old versions of its list of tables behind; what `checked` says can be found out again.
        let text = name.file_name().unwrap().to_str().unwrap();
        let is_needed = !text.starts_with('v') && text != "checked";
        assert!(refused || !is_needed, "{}", name.display());
    }
    for directory in ["log", "tables"] {
        assert!(is_refused(|whole| fs::remove_dir_all(whole.join(directory)).unwrap()), "{directory}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(DAMAGES, |cases| cases.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    /// A store that was stopped, with one damage: it is refused, or nothing is lost.
    #[test]
    fn damage_is_refused_or_harmless(file in any::<prop::sample::Index>(), damage in damage()) {
        is_refused(|directory| {
            let files = files(directory);
            apply(&damage, &files[file.index(files.len())]);
        });
    }
}
