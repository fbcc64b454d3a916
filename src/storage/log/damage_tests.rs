//! Damages a store in every way that comes to mind: it is refused, or nothing that was acknowledged is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::file_header::FileHeader;
use super::findings::{Verdict, find};
use super::give_up::give_up;
use super::lost::GiveUp;
use super::reached;
use super::table_files::{self, Depth};
use super::test_store::*;
use crate::storage::backend::Storage;
use crate::storage::record::{RecordKind, Write};

const SECTOR: usize = 512;
/// Damages that are tried; `PROPTEST_CASES` sets another number.
const DAMAGES: u32 = 200;
const DIRECTORIES: [&str; 2] = ["log", "tables"];

/// A store at one moment, and what it holds.
struct Shot {
    directory: TempDir,
    model: Model,
    /// Without the last commit.
    before: Model,
    /// The file of the log that commits went to.
    newest: PathBuf,
    was_killed: bool,
}

/// One store at several moments of its life, and another store.
struct Shots {
    whole: Vec<Shot>,
    older: Vec<Shot>,
    foreign: Shot,
}

fn shot(store: &Path, models: [&Model; 2], was_killed: bool) -> Shot {
    let directory = tempfile::tempdir().unwrap();
    copy(store, directory.path());
    let number = |path: &PathBuf| FileHeader::decode(&fs::read(path).unwrap()).map(|header| header.number);
    let newest = files(&directory.path().join("log")).into_iter().max_by_key(number).unwrap();
    let newest = newest.strip_prefix(directory.path()).unwrap().to_owned();
    Shot { directory, model: models[0].clone(), before: models[1].clone(), newest, was_killed }
}

fn shots() -> &'static Shots {
    static SHOTS: LazyLock<Shots> = LazyLock::new(|| {
        let (whole, older) = life(0);
        // The other store has the same history, so its files have the same names.
        let foreign = life(1).0.swap_remove(0);
        Shots { whole, older, foreign }
    });
    &SHOTS
}

/// A store at the end of its life (stopped, idle, killed), and at earlier moments.
fn life(seed: u8) -> (Vec<Shot>, Vec<Shot>) {
    let store = tempfile::tempdir().unwrap();
    let store = store.path();
    let mut model = Model::new();
    let mut older = Vec::new();
    for numbers in [0..90, 90..200] {
        let storage = open(store).unwrap();
        storage.load(&[], &ALL, &mut |_, _| Ok(())).unwrap();
        fill(&storage, &mut model, seed, numbers);
        older.push(shot(store, [&model, &model], false));
        drop(storage);
        older.push(shot(store, [&model, &model], false));
    }
    let storage = open(store).unwrap();
    storage.load(&[], &ALL, &mut |_, _| Ok(())).unwrap();
    fill(&storage, &mut model, seed, 200..300);
    while reached::read(&store.join("tables")).unwrap().reached != storage.sequence() {
        std::thread::yield_now();
    }
    let idle = shot(store, [&model, &model], false);
    fill(&storage, &mut model, seed, 300..304);
    let before = model.clone();
    fill(&storage, &mut model, seed, 304..305);
    let killed = shot(store, [&model, &before], true);
    drop(storage);
    let stopped = shot(store, [&model, &model], false);
    (vec![stopped, idle, killed], older)
}

/// A damage. Indexes choose among the files, sectors and older shots that there are.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Zero(Index),
    Duplicate(Index, Index),
    Truncate(Index),
    Remove,
    /// Swapped with another file of the same directory.
    Swap(Index),
    /// The file of that name of another store.
    Foreign,
    /// The file as it was at an earlier moment.
    Old(Index),
    /// The list of tables as it was at an earlier moment, with what names it.
    OldList(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => index().prop_map(Damage::Zero),
        2 => (index(), index()).prop_map(|(from, to)| Damage::Duplicate(from, to)),
        1 => index().prop_map(Damage::Truncate),
        1 => Just(Damage::Remove),
        2 => index().prop_map(Damage::Swap),
        1 => Just(Damage::Foreign),
        2 => index().prop_map(Damage::Old),
        1 => index().prop_map(Damage::OldList),
    ]
}

impl Damage {
    /// False for damages that cannot be told from a commit that was never acknowledged: to what a store that was killed
    /// had written since it last was idle.
    fn is_noticed(&self, shot: &Shot, file: &Path) -> bool {
        !(shot.was_killed && file == shot.newest && matches!(self, Damage::Old(_)))
    }

    fn apply(&self, directory: &Path, file: &Path) {
        let path = directory.join(file);
        let older = |at: &Index| at.get(&shots().older).directory.path();
        match self {
            Damage::Remove => fs::remove_file(&path).unwrap(),
            Damage::Swap(other) => {
                let siblings: Vec<_> = files(path.parent().unwrap());
                let (other, spare) = (other.get(&siblings), directory.join("spare"));
                fs::rename(&path, &spare).unwrap();
                if *other != path {
                    fs::rename(other, &path).unwrap();
                }
                fs::rename(&spare, other).unwrap();
            }
            Damage::Foreign => replace(shots().foreign.directory.path(), directory, file),
            Damage::Old(at) => replace(older(at), directory, file),
            Damage::OldList(at) => {
                let list = Path::new("tables/keyspaces/1");
                let names = fs::read_dir(older(at).join(list)).unwrap().map(|entry| entry.unwrap().file_name());
                names.filter(|name| name != "tables").for_each(|name| replace(older(at), directory, &list.join(name)));
            }
            _ => self.apply_bytes(&path),
        }
    }

    fn apply_bytes(&self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        if bytes.is_empty() {
            return fs::remove_file(path).unwrap();
        }
        let sectors = bytes.len().div_ceil(SECTOR);
        let sector = |at: &Index| at.index(sectors) * SECTOR;
        match self {
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
            _ => unreachable!("it has no bytes"),
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Replaces a file by that of another store; if it has none of that name, as of tables, by the last one of that directory.
fn replace(from: &Path, to: &Path, file: &Path) {
    let same = from.join(file);
    let others = same.parent().filter(|directory| directory.is_dir()).map(files).unwrap_or_default();
    let is_table = file.components().count() > 4;
    let other = if same.exists() { Some(&same) } else { others.last().filter(|_| is_table) };
    if let Some(other) = other {
        fs::copy(other, to.join(file)).unwrap();
    }
}

/// Opens a copy of a store after something was done to it. True when it was refused; nothing may be lost.
fn is_refused(shot: &Shot, what: &str, harm: impl FnOnce(&Path)) -> bool {
    is_refused_or(&shot.model, shot, what, harm)
}

/// The same, where the store may also hold something else.
fn is_refused_or(other: &Model, shot: &Shot, what: &str, harm: impl FnOnce(&Path)) -> bool {
    let damaged = tempfile::tempdir().unwrap();
    copy(shot.directory.path(), damaged.path());
    harm(damaged.path());
    match open(damaged.path()).and_then(|storage| content(&storage, &shot.model)) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            true
        }
        Ok(found) => {
            let is_whole = found == shot.model || found == *other;
            assert!(is_whole, "{what}: {} of {} records", found.len(), shot.model.len());
            false
        }
    }
}

#[test]
fn a_store_that_is_whole_opens() {
    for shot in shots().whole.iter().chain(&shots().older).chain([&shots().foreign]) {
        assert!(!is_refused(shot, "whole", |_| {}));
    }
}

#[test]
fn a_file_that_is_gone_is_noticed() {
    let shot = &shots().whole[0];
    for path in files(shot.directory.path()) {
        let name = path.strip_prefix(shot.directory.path()).unwrap();
        let refused = is_refused(shot, "gone", |directory| fs::remove_file(directory.join(name)).unwrap());
        // fjall leaves old versions of its list of tables behind; the other two are notes of what is known otherwise.
        let text = name.file_name().unwrap().to_str().unwrap();
        let is_needed = !text.starts_with('v') && text != "checked" && text != "reached" && text != "lock";
        assert!(refused || !is_needed, "{}", name.display());
    }
}

#[test]
fn a_directory_that_is_gone_old_or_foreign_is_noticed() {
    for shot in &shots().whole {
        for name in DIRECTORIES {
            assert!(is_refused(shot, name, |whole| fs::remove_dir_all(whole.join(name)).unwrap()), "{name}");
            let replaced = |other: &Shot| {
                is_refused(shot, name, |whole| {
                    fs::remove_dir_all(whole.join(name)).unwrap();
                    copy(&other.directory.path().join(name), &whole.join(name));
                })
            };
            assert!(replaced(&shots().foreign), "{name}");
            // What a killed store had committed since it was last idle is in no second place.
            let older = shots().older.iter().filter(|_| !(shot.was_killed && name == "log"));
            older.for_each(|older| assert!(replaced(older), "{name}"));
        }
    }
}

/// The mark in the tables finds most of this as well, but not every table of a large store has it.
#[test]
fn the_files_of_tables_are_checked_before_they_are_opened() {
    let shot = &shots().whole[0];
    let names = files(shot.directory.path())
        .into_iter()
        .map(|path| path.strip_prefix(shot.directory.path()).unwrap().to_owned());
    let tables: Vec<_> = names.filter(|name| name.components().count() > 4).collect();
    assert!(tables.len() > 1, "{tables:?}");
    let is_refused = |depth, harm: &dyn Fn(&Path)| {
        let damaged = tempfile::tempdir().unwrap();
        copy(shot.directory.path(), damaged.path());
        harm(damaged.path());
        table_files::check(&damaged.path().join("tables"), depth).is_err()
    };
    for depth in [Depth::New, Depth::All] {
        assert!(!is_refused(depth, &|_| {}));
        for name in &tables {
            let length = fs::metadata(shot.directory.path().join(name)).unwrap().len();
            let flipped = |at: u64| {
                move |directory: &Path| {
                    let path = directory.join(name);
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[at as usize] ^= 1;
                    fs::write(path, bytes).unwrap();
                }
            };
            let foreign = shots().foreign.directory.path();
            assert!(is_refused(depth, &|directory| replace(foreign, directory, name)), "{}", name.display());
            assert!(is_refused(depth, &|directory| fs::remove_file(directory.join(name)).unwrap()));
            assert!(is_refused(depth, &flipped(length - 1)));
            // What is further inside is read when it was not read before.
            let not_checked = |directory: &Path| {
                fs::remove_file(directory.join("tables/checked")).unwrap();
                flipped(length / 2)(directory);
            };
            assert!(is_refused(depth, &not_checked));
            assert!(depth == Depth::New || is_refused(depth, &flipped(0)));
        }
    }
}

#[test]
fn any_two_files_that_are_swapped_are_noticed() {
    let names = |shot: &Shot, directory: &str| -> Vec<_> {
        let entries = fs::read_dir(shot.directory.path().join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    for directory in ["log", "tables/keyspaces/1/tables"] {
        let all = shots().whole.iter().chain(&shots().older);
        let shot = all.max_by_key(|shot| names(shot, directory).len()).unwrap();
        let names = names(shot, directory);
        assert!(names.len() > 1, "{names:?} in {directory}");
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                let text = format!("{one:?} and {other:?} of {directory}");
                is_refused(shot, &text, |whole| {
                    let (one, other) = (whole.join(directory).join(one), whole.join(directory).join(other));
                    let spare = whole.join("spare");
                    fs::rename(&one, &spare).unwrap();
                    fs::rename(&other, &one).unwrap();
                    fs::rename(&spare, &other).unwrap();
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(DAMAGES, |cases| cases.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    /// A store that was stopped, was idle or was killed, with one damage: it is refused, or nothing is lost.
    #[test]
    fn damage_is_refused_or_harmless(shot in any::<Index>(), file in any::<Index>(), damage in damage()) {
        let shot = shot.get(&shots().whole);
        let files = files(shot.directory.path());
        let file = file.get(&files).strip_prefix(shot.directory.path()).unwrap();
        if damage.is_noticed(shot, file) {
            let what = format!("{damage:?} of {}, killed: {}", file.display(), shot.was_killed);
            // Its last commit looks torn.
            let other = if file == shot.newest { &shot.before } else { &shot.model };
            is_refused_or(other, shot, &what, |directory| damage.apply(directory, file));
        }
    }
}

/// The bytes of all files, but for what only a look leaves behind.
fn bytes(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(directory).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Damages a store, and gives up what cannot be kept, if that is offered. Returns how many commits were given up.
fn given_up(shot: &Shot, what: &str, harm: impl FnOnce(&Path)) -> Option<GiveUp> {
    let damaged = tempfile::tempdir().unwrap();
    let directory = damaged.path();
    copy(shot.directory.path(), directory);
    harm(directory);
    let before = bytes(directory);
    let found = find(directory).map_or(Verdict::Lost(String::new()), |found| found.verdict);
    let wrong = match found {
        Verdict::CanGiveUp(GiveUp::Commits(count)) => GiveUp::Commits(count + 1),
        _ => GiveUp::Commits(0),
    };
    assert!(give_up(directory, wrong).is_err(), "{what}");
    assert!(bytes(directory) == before, "{what}: a look has changed something");
    let Verdict::CanGiveUp(lost) = found else {
        // A look reads all of the tables, a start does not.
        assert!(found != Verdict::Sound || open(directory).is_ok(), "{what}: it is not sound");
        return None;
    };
    assert!(open(directory).is_err(), "{what}: there is nothing to give up");
    let (last, saved) = give_up(directory, lost).unwrap();
    assert!(saved.join("found.txt").exists());
    for round in 0..2 {
        let storage = open(directory).unwrap();
        let expected = model_at(0, u32::try_from(last).unwrap());
        assert!(content(&storage, &expected).unwrap() == expected, "{what}, round {round}: not as of commit {last}");
    }
    // It goes on from there.
    let storage = open(directory).unwrap();
    let mut model = content(&storage, &Model::new()).unwrap();
    fill(&storage, &mut model, 0, u32::try_from(last).unwrap()..400);
    drop(storage);
    assert!(content(&open(directory).unwrap(), &model).unwrap() == model, "{what}");
    Some(lost)
}

#[test]
fn a_damaged_commit_and_what_came_after_it_can_be_given_up() {
    for shot in &shots().whole {
        let damaged = |name: &Path, at: usize| {
            given_up(shot, "a frame", |directory| {
                let path = directory.join(name);
                let mut bytes = fs::read(&path).unwrap();
                bytes[at] ^= 1;
                fs::write(path, bytes).unwrap();
            })
        };
        // The first unit is the header, the next ones are commits of one unit each.
        let lost = [1, 3, 4].map(|unit| damaged(&shot.newest, unit * 4_096 + 100));
        let Some([GiveUp::Commits(first), GiveUp::Commits(third), GiveUp::Commits(fourth)]) =
            lost.iter().copied().collect::<Option<Vec<_>>>().and_then(|lost| <[_; 3]>::try_from(lost).ok())
        else {
            panic!("{lost:?}")
        };
        assert_eq!((first - third, third - fourth), (2, 1));
    }
}

#[test]
fn a_lost_manifest_is_made_anew() {
    let shot = &shots().whole[0];
    let path = Path::new("log/manifest");
    let commits = 305;
    for harm in [|path: &Path| fs::remove_file(path).unwrap(), |path: &Path| fs::write(path, [7; 8_192]).unwrap()] {
        assert_eq!(given_up(shot, "the manifest", |directory| harm(&directory.join(path))), Some(GiveUp::Unknown));
    }
    let damaged = tempfile::tempdir().unwrap();
    copy(shot.directory.path(), damaged.path());
    fs::remove_file(damaged.path().join(path)).unwrap();
    assert_eq!(give_up(damaged.path(), GiveUp::Unknown).unwrap().0, commits, "nothing is lost with it");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(DAMAGES / 4, |cases| cases.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_repair_looks_without_a_change_and_keeps_what_it_says(shot in any::<Index>(), file in any::<Index>(), damage in damage()) {
        let shot = shot.get(&shots().whole);
        let files = files(shot.directory.path());
        let file = file.get(&files).strip_prefix(shot.directory.path()).unwrap();
        if damage.is_noticed(shot, file) {
            given_up(shot, &format!("{damage:?} of {}", file.display()), |directory| damage.apply(directory, file));
        }
    }
}

/// The tests' own check: a store that has lost a commit is seen.
#[test]
#[should_panic(expected = "records")]
fn a_loss_is_seen() {
    is_refused(&shots().whole[0], "a lost order", |directory| {
        let storage = open(directory).unwrap();
        storage.commit_next(&[Write::Delete(key(RecordKind::Delivery, 299))]).unwrap();
    });
}
