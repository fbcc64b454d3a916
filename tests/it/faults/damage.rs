//! Damage to the files of a shard that was stopped: the shard says so and does not start, or nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Client, Facade, Process, Random, Setup, offer};

const CUSTOMERS: u64 = 40;
/// Damages that are tried; `SHARDCART_DAMAGES` sets another number.
const DAMAGES: u64 = 24;
const SECTOR: usize = 512;

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

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).expect("it is below"));
        fs::create_dir_all(target.parent().expect("it is in a directory")).expect("a directory can be made");
        fs::copy(path, target).expect("a file can be copied");
    }
}

/// Damages a file, and says how.
fn damage(path: &Path, random: &mut Random) -> &'static str {
    let mut bytes = fs::read(path).expect("the file can be read");
    if bytes.is_empty() || random.below(8) == 0 {
        fs::remove_file(path).expect("the file can be removed");
        return "removed";
    }
    let sectors = bytes.len().div_ceil(SECTOR) as u64;
    let at = random.below(sectors) as usize * SECTOR;
    let end = (at + SECTOR).min(bytes.len());
    let what = match random.below(4) {
        0 => {
            bytes[at..end].fill(0);
            "a sector of zeros"
        }
        1 => {
            let other = random.below(sectors) as usize * SECTOR;
            let length = (end - at).min(bytes.len() - other);
            bytes.copy_within(at..at + length, other);
            "a doubled sector"
        }
        2 => {
            bytes.truncate(at);
            "cut off"
        }
        _ => {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
            "a flipped bit"
        }
    };
    fs::write(path, bytes).expect("the file can be written");
    what
}

/// Asserts that every cart has what was acknowledged.
fn check(mut client: Client, what: &str) {
    for customer in 0..CUSTOMERS {
        let cart = client.get(&format!("/items/c{customer}")).expect(200).json();
        assert_eq!(cart["itemTotal"], customer + 1, "{what}: customer {customer}");
    }
}

#[test]
fn damage_to_a_stopped_shard_is_refused_or_harmless() {
    let mut random = Random::seeded("damage");
    let mut store = Setup::new(1).durable().start();
    let mut client = store.client();
    for customer in 0..CUSTOMERS {
        for _ in 0..=customer {
            let answer = client.post(&format!("/item/c{customer}/tea"), &offer("1", 1));
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        }
        client.post("/purchase/1", "");
    }
    check(store.client(), "as it was");
    store.shards[0].terminate();
    let whole = store.directory().join("shard-0");
    let damages = std::env::var("SHARDCART_DAMAGES").map_or(DAMAGES, |text| text.parse().expect("a number"));
    let mut refused = 0;
    for number in 0..damages {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let copied = directory.path().join("shard-0");
        copy(&whole, &copied);
        let files = files(&copied);
        let path = &files[random.below(files.len() as u64) as usize];
        let what = format!("damage {number}, {}: {}", path.display(), damage(path, &mut random));
        let (old, new) = (store.directory().display().to_string(), directory.path().display().to_string());
        let args: Vec<_> = store.shards[0].args().iter().map(|arg| arg.replace(&old, &new)).collect();
        match Process::try_start("shard-0", directory.path(), &args) {
            Err((_, log)) => {
                refused += 1;
                assert!(log.contains("rror: ") || log.contains("ERROR"), "{what}: {log}");
            }
            Ok(shard) => {
                let facade = Facade::start(directory.path(), "facade", &[shard.ready().to_owned()], &[], &[]);
                check(facade.client(), &what);
            }
        }
    }
    println!("{refused} of {damages} damages were refused, the others were harmless");
}
