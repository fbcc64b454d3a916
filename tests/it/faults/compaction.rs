//! Compaction of the tables: it does not fill the disk, and a shard whose compaction has failed starts again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::stalled_disk::{add_until_refused, expect_items, expect_taken_again, item};
use crate::harness::{Client, Setup, Store, eventually, offer};

/// The size of the mounted file system, in bytes.
const DISK_BYTES: u64 = 256 << 20;
/// The least free space for writes, in bytes.
const MIN_FREE: u64 = 16 << 20;
/// Bytes of tables that two checkpoints make; compaction begins with the fourth.
const TABLES_BYTES: u64 = 8 << 20;
/// The room for their compaction, in bytes: too little.
const ROOM: u64 = TABLES_BYTES / 2;
/// The lines of each cart.
const LINES: u64 = 250;
const WAITS: &str = "the tables are compacted once the disk has room for it";

/// A small file system in memory.
struct Mounted(TempDir);

impl Mounted {
    /// `None` where nothing can be mounted.
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={DISK_BYTES}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "shardcart-test"])
            .arg(directory.path())
            .output();
        mount.is_ok_and(|output| output.status.success()).then(|| Mounted(directory))
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(self.0.path()).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    fn filler(&self) -> std::path::PathBuf {
        self.0.path().join("filler")
    }

    /// Leaves so many bytes free, whatever others have taken or freed since.
    fn leave(&self, bytes: u64) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        match self.free().checked_sub(bytes) {
            Some(more) => filler.write_all(&vec![1; usize::try_from(more).unwrap()]).unwrap(),
            None => filler.set_len((filler.metadata().unwrap().len() + self.free()).saturating_sub(bytes)).unwrap(),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, since the processes that use it are still being killed.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let sizes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.len() })
    });
    sizes.sum()
}

fn log_has(store: &Store, text: &str) -> bool {
    store.shards[0].process().log().contains(text)
}

/// Adds lines to carts from this number on, with keys, whose stored answers gather in the tables, until something is so.
/// Returns the number behind the last one.
fn add_until(client: &mut Client, first: u64, is_so: impl Fn() -> bool) -> u64 {
    let mut number = first;
    while !is_so() {
        let path = format!("/item/u{}/{}", number / LINES, item(number));
        let key = format!("key-{number}");
        let answer = eventually("it is taken", || {
            let answer = client.call("POST", &path).header("Idempotency-Key", &key).json(&offer("1", 1)).send();
            if answer.status == 503 {
                // A new file of the log has left too little on the disk. The next look makes room again.
                is_so();
                return None;
            }
            Some(answer)
        });
        assert!(matches!(answer.status, 200 | 201), "{number}: {}", answer.text());
        number += 1;
    }
    number
}

#[test]
fn tables_are_compacted_only_while_the_disk_has_room() {
    let Some(disk) = Mounted::new() else {
        println!("nothing can be mounted here");
        return;
    };
    let options = ["--min-free", &MIN_FREE.to_string()];
    let mut store = Setup::new(1).durable().data(disk.0.path()).shard_options(&options).start();
    let mut client = store.client();
    let tables = disk.0.path().join("shard-0/tables/keyspaces");
    let waits = |store: &Store, times: usize| {
        let bytes = bytes_below(&tables);
        if bytes > TABLES_BYTES {
            disk.leave(MIN_FREE + ROOM);
        } else if disk.free() < MIN_FREE {
            // A compaction has made the tables small again.
            disk.leave(2 * MIN_FREE);
        }
        store.shards[0].process().log().matches(WAITS).count() >= times
    };
    let count = add_until(&mut client, 0, || waits(&store, 1));
    // What the process had open is free once it has ended, which must not be enough.
    disk.leave(MIN_FREE / 2);
    store.restart_shard(0);
    let count = add_until(&mut client, count, || waits(&store, 2));
    eventually("writes are taken", || (client.post("/item/bob/tea", &offer("1", 1)).status == 201).then_some(()));
    fs::remove_file(disk.filler()).unwrap();
    eventually("it goes on", || log_has(&store, "the disk has room: the tables are compacted").then_some(()));
    store.restart_shard(0);
    for customer in 0..count.div_ceil(LINES) {
        let total = client.get(&format!("/items/u{customer}")).expect(200).json()["itemTotal"].as_u64().unwrap();
        assert_eq!(total, LINES.min(count - customer * LINES), "u{customer}");
    }
    assert!(!log_has(&store, "Compaction failed"), "{}", store.shards[0].process().log());
}

#[test]
fn a_compaction_that_fails_ends_the_shard_and_the_next_start_goes_on() {
    let mut store = Setup::new(1).durable().start();
    let fails = store.directory().join("fails");
    store.arm_error(0, "compaction", &fails);
    File::create(&fails).unwrap();
    let (mut client, added) = (store.client(), AtomicU64::new(0));
    let answer = add_until_refused(&mut client, &added);
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    let ends = "the tables' background thread has failed: ending";
    eventually("it says so", || log_has(&store, ends).then_some(()));
    fs::remove_file(&fails).unwrap();
    store.revive_shard(0);
    expect_items(&mut client, added.into_inner());
    expect_taken_again(&mut client);
}
