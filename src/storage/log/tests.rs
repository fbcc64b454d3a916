//! Tests the log as a whole: what was committed is there after every kind of end.

use std::fs;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::test_store::*;
use crate::routing::SLOTS;
use crate::storage::backend::{Outcome, Storage};
use crate::storage::record::{Record, RecordKind, Write, kind_of};

const SECTOR: usize = 512;

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
            prop_assert_eq!(scanned(&storage, kind, limit).unwrap(), expected);
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

/// While a store runs, a frame is overwritten in a file that waits for its checkpoint.
#[test]
fn a_damaged_frame_is_not_taken_for_the_end_of_its_file() {
    for unit in [1, 3, 5] {
        let directory = tempfile::tempdir().unwrap();
        let storage = open(directory.path()).unwrap();
        let mut model = Model::new();
        fill(&storage, &mut model, 0, 1..6);
        let log = fs::File::options().write(true).open(directory.path().join("log/0000.log")).unwrap();
        log.write_all_at(&[0; SECTOR], unit * 4_096).unwrap();
        assert!(storage.load(&RecordKind::LOADED, &ALL, &mut |_, _| Ok(())).is_err(), "unit {unit}");
        let error = storage.check_log(0).unwrap_err().to_string();
        assert!(error.contains(&format!("0000.log: the frame at byte {}", unit * 4_096)), "{error}");
        drop(storage);
        assert!(open(directory.path()).is_err(), "unit {unit}");
    }
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
