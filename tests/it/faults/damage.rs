//! Damage to the files of a shard that was stopped, is idle or was killed: the shard says so and does not start, or nothing
//! is lost. `shardcart repair` shows the damage, and gives up exactly what it says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::launcher::PROGRAM;
use crate::harness::{Client, Facade, Process, Random, Setup, Store, eventually, offer};

const CUSTOMERS: u64 = 40;
/// Damages that are tried; `SHARDCART_DAMAGES` sets another number.
const DAMAGES: u64 = 24;
const SECTOR: usize = 512;
/// The unit of the log, and the bytes of the file's number in its header.
const UNIT: usize = 4_096;
const NUMBER: std::ops::Range<usize> = 30..38;

/// All files below a directory, but those that a shard makes anew.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("an entry can be read").path();
        let kind = fs::symlink_metadata(&path).expect("it is there").file_type();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() && path.extension().is_none_or(|extension| extension != "log" || is_log(&path)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// True for files of the commit log; `error.log` is none.
fn is_log(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with("log"))
}

/// Copies a directory; again if a file of it went meanwhile, as those of tables do.
fn copy(from: &Path, to: &Path) {
    let copied = || -> std::io::Result<bool> {
        let before = files(from);
        for path in &before {
            let target = to.join(path.strip_prefix(from).expect("it is below"));
            fs::create_dir_all(target.parent().expect("it is in a directory"))?;
            fs::copy(path, target)?;
        }
        Ok(files(from) == before)
    };
    while !copied().unwrap_or(false) {
        fs::remove_dir_all(to).expect("the copy can be removed");
    }
}

/// Copies of one shard's data at moments of its life, and of another shard's.
struct Copies {
    store: Store,
    directory: TempDir,
    /// What every copy of `WHOLE` holds: the number of lines each customer has.
    model: BTreeMap<u64, u64>,
}

/// The copies that are damaged, the older ones, and the one of another store.
const WHOLE: [&str; 3] = ["stopped", "idle", "killed"];
const OLDER: [&str; 2] = ["first", "second"];
const FOREIGN: &str = "foreign";

fn buy(client: &mut Client, model: &mut BTreeMap<u64, u64>, customer: u64) {
    let answer = client.post(&format!("/item/c{customer}/tea"), &offer("1", 1));
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    *model.entry(customer).or_default() += 1;
}

impl Copies {
    fn make() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let save = |store: &Store, name: &str| {
            copy(&store.directory().join("shard-0"), &directory.path().join(name).join("shard-0"));
        };
        let mut model = BTreeMap::new();
        let mut store = Setup::new(1).durable().start();
        for name in OLDER {
            let mut client = store.client();
            for customer in 0..CUSTOMERS {
                buy(&mut client, &mut model, customer);
                client.post("/purchase/1", "");
            }
            save(&store, name);
            store.restart_shard(0);
        }
        let mut client = store.client();
        for customer in 0..CUSTOMERS / 2 {
            (0..=customer % 3).for_each(|_| buy(&mut client, &mut model, customer));
        }
        // The log has noted its end beside the tables once it was idle.
        let reached = store.directory().join("shard-0/tables/reached");
        let noted = fs::read(&reached).unwrap_or_default();
        buy(&mut client, &mut model, 0);
        eventually("the log is idle", || (fs::read(&reached).ok()? != noted).then_some(()));
        save(&store, "idle");
        store.shards[0].terminate();
        save(&store, "stopped");
        store.start_shard(0);
        (0..5).for_each(|_| buy(&mut store.client(), &mut model, 1));
        store.shards[0].kill();
        save(&store, "killed");
        // The others were saved before those.
        let other = {
            let mut other = Setup::new(1).durable().start();
            let mut client = other.client();
            (0..60).for_each(|customer| buy(&mut client, &mut BTreeMap::new(), customer));
            other.shards[0].terminate();
            other
        };
        save(&other, FOREIGN);
        Copies { store, directory, model }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.directory.path().join(name).join("shard-0")
    }

    /// The arguments of a shard with its data in another directory.
    fn args(&self, directory: &Path) -> Vec<String> {
        let (old, new) = (self.store.directory().display().to_string(), directory.display().to_string());
        self.store.shards[0].args().iter().map(|arg| arg.replace(&old, &new)).collect()
    }

    /// Asserts that every cart of a copy has what was acknowledged.
    fn check(&self, mut client: Client, name: &str, what: &str) {
        for (customer, lines) in &self.model {
            // Those of the last customer came after the other copies.
            let later = if *customer == 1 && name != "killed" { 5 } else { 0 };
            let cart = client.get(&format!("/items/c{customer}")).expect(200).json();
            assert_eq!(cart["itemTotal"], lines - later, "{what}: customer {customer}");
        }
    }
}

/// The file of a log that commits went to.
fn newest(directory: &Path) -> PathBuf {
    let number = |path: &PathBuf| {
        let bytes = fs::read(path).expect("it can be read");
        u64::from_le_bytes(bytes[NUMBER].try_into().expect("eight bytes"))
    };
    let logs = files(&directory.join("log")).into_iter().filter(|path| path.extension().is_some());
    logs.max_by_key(number).expect("there is a log")
}

/// The offset of the last frame in a file, if frames have one unit each.
fn last_frame(path: &Path) -> usize {
    let bytes = fs::read(path).expect("it can be read");
    bytes.chunks(UNIT).rposition(|unit| unit.iter().any(|byte| *byte != 0)).expect("it has frames") * UNIT
}

/// Damages a file of a copy, and says how. Bytes from `end` on are left alone.
fn damage(copies: &Copies, directory: &Path, path: &Path, end: usize, random: &mut Random) -> String {
    let below = path.strip_prefix(directory).expect("it is below").to_owned();
    let replace = |name: &str| {
        let from = copies.of(name).join(&below);
        if from.exists() {
            fs::copy(from, path).expect("a file can be copied");
        }
        format!("that of {name}")
    };
    // A copy that was killed has in no second place what its newest file of the log had then.
    let is_newest = end < usize::MAX;
    match random.below(10) {
        0 => {
            fs::remove_file(path).expect("the file can be removed");
            return "removed".into();
        }
        1 if !is_newest => return replace(FOREIGN),
        2 if !is_newest => return replace(OLDER[random.below(2) as usize]),
        3 => {
            let siblings = files(path.parent().expect("it is in a directory"));
            let other = &siblings[random.below(siblings.len() as u64) as usize];
            let (one, two) = (fs::read(path).expect("it can be read"), fs::read(other).expect("it can be read"));
            fs::write(path, two).and_then(|()| fs::write(other, one)).expect("both can be written");
            return format!("swapped with {}", other.display());
        }
        _ => {}
    }
    let mut bytes = fs::read(path).expect("the file can be read");
    if bytes.is_empty() {
        fs::remove_file(path).expect("the file can be removed");
        return "removed".into();
    }
    let sectors = bytes.len().min(end).div_ceil(SECTOR) as u64;
    let at = random.below(sectors) as usize * SECTOR;
    let until = (at + SECTOR).min(bytes.len());
    let what = match random.below(4) {
        0 => {
            bytes[at..until].fill(0);
            "a sector of zeros"
        }
        1 => {
            let other = random.below(sectors) as usize * SECTOR;
            let length = (until - at).min(bytes.len() - other);
            bytes.copy_within(at..at + length, other);
            "a doubled sector"
        }
        2 => {
            bytes.truncate(at);
            "cut off"
        }
        _ => {
            let at = random.below(bytes.len().min(end) as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
            "a flipped bit"
        }
    };
    fs::write(path, bytes).expect("the file can be written");
    what.into()
}

#[test]
fn damage_is_refused_or_harmless() {
    let mut random = Random::seeded("damage");
    let copies = Copies::make();
    let damages = std::env::var("SHARDCART_DAMAGES").map_or(DAMAGES, |text| text.parse().expect("a number"));
    let mut refused = 0;
    for number in 0..damages {
        let name = WHOLE[(number % 3) as usize];
        let directory = TempDir::new().expect("a temporary directory can be made");
        let copied = directory.path().join("shard-0");
        copy(&copies.of(name), &copied);
        let files = files(&copied);
        let path = &files[random.below(files.len() as u64) as usize];
        let newest = newest(&copied);
        let end = if name == "killed" && *path == newest { last_frame(path) } else { usize::MAX };
        let done = if number < 3 { "nothing".into() } else { damage(&copies, &copied, path, end, &mut random) };
        let what = format!("damage {number} of {name}, {}: {done}", path.display());
        match Process::try_start("shard-0", directory.path(), &copies.args(directory.path())) {
            Err((_, log)) => {
                refused += 1;
                assert!(number >= 3, "{what}: {log}");
                assert!(log.contains("rror: "), "{what}: {log}");
            }
            Ok(shard) => {
                let facade = Facade::start(directory.path(), "facade", &[shard.ready().to_owned()], &[], &[]);
                copies.check(facade.client(), name, &what);
            }
        }
    }
    println!("{refused} of {damages} damages were refused, the others were harmless");
}

fn repair(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("repair").args(arguments).output().expect("the program can be started")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The bytes of all files below a directory.
fn bytes(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(directory).into_iter().map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect()
}

#[test]
fn a_repair_shows_the_damage_and_gives_up_what_it_says() {
    let mut store = Setup::new(1).durable().start();
    let data = store.directory().join("shard-0");
    let shown = data.display().to_string();
    let mut client = store.client();
    for line in 0..9 {
        client.post(&format!("/item/alice/line-{line}"), &offer("1", 1)).expect(201);
    }
    let output = repair(&["--data", &shown]);
    assert!(!output.status.success() && text(&output).contains("another process uses"), "{}", text(&output));
    store.shards[0].terminate();

    let whole = bytes(&data);
    let output = repair(&["--data", &store.directory().display().to_string()]);
    assert!(output.status.success() && text(&output).contains("sound"), "{}", text(&output));
    assert!(!repair(&["--data", &shown, "--give-up", "0"]).status.success(), "there is nothing to give up");
    assert!(bytes(&data) == whole, "a sound store is left alone");

    // The third commit from the end: frames have one unit each.
    let newest = newest(&data);
    let mut damaged = fs::read(&newest).expect("it can be read");
    damaged[last_frame(&newest) - 2 * UNIT + 50] ^= 1;
    fs::write(&newest, damaged).expect("it can be written");
    let (_, log) =
        Process::try_start("refused", store.directory(), store.shards[0].args()).err().expect("it is refused");
    assert!(log.contains("2 of them readable") && log.contains("shardcart repair --data"), "{log}");

    let before = bytes(&data);
    let output = repair(&["--data", &shown]);
    let found = text(&output);
    assert!(!output.status.success() && found.contains("--give-up 3"), "{found}");
    assert!(found.contains("0 cannot be decoded") && found.contains(".log at byte"), "{found}");
    let output = repair(&["--data", &shown, "--give-up", "2"]);
    assert!(!output.status.success() && text(&output).contains("would be lost is 3"), "{}", text(&output));
    assert!(bytes(&data) == before, "nothing is changed");

    let output = repair(&["--data", &shown, "--give-up", "3"]);
    assert!(output.status.success() && text(&output).contains("what was cut is in"), "{}", text(&output));
    let output = repair(&["--data", &shown]);
    assert!(output.status.success(), "{}", text(&output));
    store.start_shard(0);
    let cart = store.client().get("/items/alice").expect(200).json();
    assert_eq!(cart["itemTotal"], 6, "{cart}");
    store.client().post("/item/alice/line-9", &offer("1", 1)).expect(201);
    store.restart_shard(0);
    assert_eq!(store.client().get("/items/alice").expect(200).json()["itemTotal"], 7);
}

#[test]
fn damaged_tables_are_shown_and_nothing_is_given_up() {
    let mut store = Setup::new(1).durable().start();
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
    store.restart_shard(0);
    store.shards[0].terminate();
    let data = store.directory().join("shard-0");
    let table = files(&data.join("tables/keyspaces/1/tables")).pop().expect("there is a table");
    let mut damaged = fs::read(&table).expect("it can be read");
    damaged[20] ^= 1;
    fs::write(&table, damaged).expect("it can be written");
    let shown = data.display().to_string();
    let before = bytes(&data);
    for arguments in [&["--data", &shown][..], &["--data", &shown, "--give-up", "1"]] {
        let output = repair(arguments);
        let found = text(&output);
        assert!(
            !output.status.success() && found.contains("How much is lost cannot be told")
                || found.contains("cannot be told"),
            "{found}"
        );
    }
    assert!(bytes(&data) == before, "nothing is changed");
}
