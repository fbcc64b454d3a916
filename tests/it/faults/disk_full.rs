//! A disk that fills up: writes are refused, reads continue, nothing is damaged, and writes are accepted when there is
//! room again. The disk is a small file system in memory if one can be mounted. Otherwise the limit is raised to the
//! free space of the real disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::harness::{Client, Setup, Store, eventually, offer};

/// The size of the mounted file system, in bytes.
const DISK_BYTES: u64 = 192 << 20;
/// The least free space for writes, in bytes.
const MIN_FREE: u64 = 32 << 20;
/// The size of each write that fills the disk, in bytes.
const BLOCK: usize = 1 << 20;

/// A directory that can be filled up.
struct Disk {
    directory: TempDir,
    mounted: bool,
    min_free: u64,
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "shardcart-test"])
            .arg(directory.path())
            .output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        let min_free = if mounted { MIN_FREE } else { free(directory.path()) - DISK_BYTES };
        println!("mounted: {mounted}");
        Disk { directory, mounted, min_free }
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join("filler")
    }

    /// Fills the disk until less than the limit is free. With `to_the_brim` no byte is left, if the disk is the test's
    /// own.
    fn fill(&self, to_the_brim: bool) {
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("the filler can be made");
        let block = vec![1; BLOCK];
        let enough =
            |free: u64| if to_the_brim && self.mounted { free == 0 } else { free < self.min_free - BLOCK as u64 };
        while !enough(free(self.directory.path())) {
            // On a full disk the last block fits in part or not at all.
            if file.write_all(&block).is_err() {
                break;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).expect("the filler can be removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily, since the processes that use it are still being killed.
            let _ = Command::new("umount").arg("-l").arg(self.directory.path()).status();
        }
    }
}

fn free(directory: &Path) -> u64 {
    let stat = rustix::fs::statvfs(directory).expect("the file system can be asked");
    stat.f_bavail * stat.f_frsize
}

fn start(disk: &Disk) -> Store {
    Setup::new(1)
        .durable()
        .data(disk.directory.path())
        .shard_options(&["--min-free", &disk.min_free.to_string()])
        .start()
}

/// Adds until an addition is refused, and returns the number of acknowledged additions.
fn add_until_refused(client: &mut Client) -> u64 {
    let mut added = 0;
    eventually("additions are refused", || {
        let answer = client.post("/item/alice/tea", &offer("1", 1));
        if answer.status == 503 {
            assert!(answer.expect_problem(503, "disk").header("retry-after").is_some());
            return Some(());
        }
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        added += 1;
        None
    });
    added
}

fn count(client: &mut Client) -> u64 {
    client.get("/items/alice").expect(200).json()["itemTotal"].as_u64().expect("a count")
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let disk = Disk::new();
    let mut store = start(&disk);
    let mut client = store.client();
    client.call("PUT", "/kv/key").body("value").send().expect(201);
    let first =
        client.call("POST", "/item/bob/tea").header("Idempotency-Key", "key").json(&offer("1", 1)).send().expect(201);
    let mut acknowledged = 0;
    for round in 0..3 {
        disk.fill(false);
        acknowledged += add_until_refused(&mut client);
        for (method, path, body) in [
            ("POST", "/item/new/tea", offer("1", 1)),
            ("PUT", "/item/bob/tea", r#"{"newCount":2}"#.into()),
            ("DELETE", "/item/bob/tea", String::new()),
            ("DELETE", "/items/bob", String::new()),
            ("PUT", "/kv/key", "other".into()),
            ("DELETE", "/kv/key", String::new()),
        ] {
            client.call(method, path).json(&body).send().expect_problem(503, "disk");
        }
        assert_eq!(count(&mut client), acknowledged);
        assert_eq!(client.get("/kv/key").expect(200).text(), "value");
        client.get("/readyz").expect(200);
        let again = client.call("POST", "/item/bob/tea").header("Idempotency-Key", "key").json(&offer("1", 1)).send();
        assert_eq!((again.status, again.text(), again.is_replayed()), (201, first.text(), true));
        if round == 1 {
            store.restart_shard(0);
            assert_eq!(count(&mut client), acknowledged, "after a restart on a full disk");
            client.post("/item/new/tea", &offer("1", 1)).expect_problem(503, "disk");
        }
        disk.empty();
        eventually("writes are taken again", || {
            let status = client.post("/item/alice/tea", &offer("1", 1)).status;
            (status != 503).then(|| assert_eq!(status / 100, 2))
        });
        acknowledged += 1;
    }
    store.restart_shard(0);
    assert_eq!(count(&mut client), acknowledged);
    assert_eq!(client.get("/items/new").expect(200).version(), 0);
}

#[test]
fn a_disk_that_takes_no_more_files_refuses_writes_and_nothing_else() {
    const FILES: u64 = 2_000;
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let options = format!("size={DISK_BYTES},nr_inodes={FILES}");
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", &options, "shardcart-test"]).arg(directory.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("nothing can be mounted here");
        return;
    }
    let disk = Disk { directory, mounted: true, min_free: MIN_FREE };
    let mut store = start(&disk);
    let mut client = store.client();
    client.post("/item/bob/tea", &offer("1", 1)).expect(201);
    let fillers = disk.directory.path().join("fillers");
    fs::create_dir(&fillers).unwrap();
    let made = (0..FILES).take_while(|number| File::create(fillers.join(number.to_string())).is_ok()).count();
    assert!(made < FILES as usize, "no file can be made any more");
    let acknowledged = add_until_refused(&mut client);
    client.post("/item/new/tea", &offer("1", 1)).expect_problem(503, "disk");
    assert_eq!(count(&mut client), acknowledged);
    client.get("/items/bob").expect(200);
    fs::remove_dir_all(&fillers).unwrap();
    eventually("writes are taken again", || {
        (client.post("/item/alice/tea", &offer("1", 1)).status != 503).then_some(())
    });
    store.restart_shard(0);
    assert_eq!(count(&mut client), acknowledged + 1);
}

#[test]
fn a_quota_that_is_used_up_refuses_writes_and_nothing_else() {
    let mut store = Setup::new(1).durable().start();
    let full = store.directory().join("full");
    store.arm_error(0, "probe", &full);
    let mut client = store.client();
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    File::create(&full).unwrap();
    let acknowledged = 1 + add_until_refused(&mut client);
    client.post("/item/new/tea", &offer("1", 1)).expect_problem(503, "disk");
    assert_eq!(count(&mut client), acknowledged);
    store.shards[0].process().expect_logged("the data directory takes no file", 1);
    fs::remove_file(&full).unwrap();
    eventually("writes are taken again", || {
        (client.post("/item/alice/tea", &offer("1", 1)).status != 503).then_some(())
    });
    assert_eq!(count(&mut client), acknowledged + 1);
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_loses_nothing() {
    let disk = Disk::new();
    let mut store = start(&disk);
    let mut client = store.client();
    for _ in 0..50 {
        client.post("/item/alice/tea", &offer("1", 1));
    }
    // A write between the last byte and the shard's next check ends the shard; that is another test.
    disk.fill(false);
    let acknowledged = 50 + add_until_refused(&mut client);
    disk.fill(true);
    assert_eq!(count(&mut client), acknowledged);
    store.restart_shard(0);
    assert_eq!(count(&mut client), acknowledged, "after a restart on a full disk");
    disk.empty();
    store.restart_shard(0);
    assert_eq!(count(&mut client), acknowledged);
    assert_eq!(client.post("/item/alice/tea", &offer("1", 1)).expect(200).json()["itemTotal"], acknowledged + 1);
}

#[test]
fn a_disk_that_fills_up_under_load_loses_nothing() {
    const CLIENTS: u64 = 4;
    let disk = Disk::new();
    let mut store = start(&disk);
    let address = store.facade.kv;
    for round in 0..3 {
        let acknowledged = AtomicU64::new(0);
        // Each writes new keys until one is refused or lost, since the shard may have ended.
        let written: Vec<u64> = thread::scope(|scope| {
            let acknowledged = &acknowledged;
            let write = move |client: u64| {
                let mut http = Client::new(address);
                let taken = (0..).take_while(|number| {
                    let path = format!("/r{round}c{client}n{number}");
                    let call = http.call("PUT", &path).body(value(client, *number));
                    let taken = call.try_send().is_ok_and(|answer| answer.status == 201);
                    acknowledged.fetch_add(u64::from(taken), Ordering::SeqCst);
                    taken
                });
                taken.count() as u64
            };
            let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || write(client))).collect();
            eventually("the clients get on", || (acknowledged.load(Ordering::SeqCst) > 200).then_some(()));
            disk.fill(true);
            clients.into_iter().map(|client| client.join().expect("a client failed")).collect()
        });
        println!("a commit failed: {}", store.shards[0].process().log().contains("a commit failed"));
        disk.empty();
        store.restart_shard(0);
        let mut http = Client::new(address);
        for (client, written) in (0..).zip(written) {
            for number in 0..written {
                assert_eq!(http.get(&format!("/r{round}c{client}n{number}")).expect(200).text(), value(client, number));
            }
        }
    }
}

fn value(client: u64, number: u64) -> String {
    format!("{client}:{number} ").repeat(100)
}
