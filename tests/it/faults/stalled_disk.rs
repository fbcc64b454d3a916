//! A disk of which one part stalls: commits go on as far as they need nothing of it, reads always, and nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM};
use crate::harness::{Answer, Client, Setup, Store, eventually, offer};

/// The files of a log of 32 MiB.
const LOG_FILES: usize = 16;
/// The characters of an item's id.
const ID_CHARACTERS: usize = 128;

/// The id of an item, which does not compress: some hundred of them in a cart, which each addition writes, fill the log.
pub fn item(number: u64) -> String {
    let mut random = fastrand::Rng::with_seed(number);
    (0..ID_CHARACTERS).map(|_| random.alphanumeric()).collect()
}

fn add(client: &mut Client, number: u64) -> Answer {
    client.post(&format!("/item/alice/{}", item(number)), &offer("1", 1))
}

/// Adds items to Alice's cart until one is not taken, and returns the answer to that one. `added` is how many were taken.
pub fn add_until_refused(client: &mut Client, added: &AtomicU64) -> Answer {
    loop {
        let answer = add(client, added.load(Ordering::SeqCst));
        if !matches!(answer.status, 200 | 201) {
            return answer;
        }
        added.fetch_add(1, Ordering::SeqCst);
    }
}

/// Expects that Alice's cart has the items that were acknowledged, and at most the one that was not.
pub fn expect_items(client: &mut Client, added: u64) {
    let total = client.get("/items/alice").expect(200).json()["itemTotal"].as_u64().unwrap();
    assert!((added..=added + 1).contains(&total), "{total} items of {added}");
}

/// Adds until that works again.
pub fn expect_taken_again(client: &mut Client) {
    eventually("writes are taken again", || {
        (client.post("/item/bob/tea", &offer("1", 1)).status / 100 == 2).then_some(())
    });
}

/// A store of one shard that stalls at a point while the file at the path exists, which it does.
fn store(options: &[&str], point: &str) -> (Store, PathBuf) {
    let mut store = Setup::new(1).durable().shard_options(options).start();
    let hangs = store.directory().join("hangs");
    store.arm_stall(0, point, &hangs);
    fs::write(&hangs, "").unwrap();
    (store, hangs)
}

fn wait_for_log(store: &Store, text: &str) {
    eventually(text, || store.shards[0].process().log().contains(text).then_some(()));
}

fn expect_reads(store: &Store) {
    let mut client = store.client();
    for number in 0..20 {
        client.get(&format!("/items/c{number}")).expect(200);
    }
}

#[test]
fn a_checkpoint_that_stalls_lets_commits_go_on_until_the_log_is_full() {
    // A commit that waited for the checkpoint would end the shard.
    let (store, hangs) = store(&["--commit-timeout", "5s"], "checkpoint");
    let (mut client, added) = (store.client(), AtomicU64::new(0));
    add_until_refused(&mut client, &added).expect_problem(503, "log is full");
    let files = fs::read_dir(store.directory().join("shard-0/log")).unwrap();
    let is_file = |name: &std::ffi::OsString| Path::new(name).extension().is_some_and(|extension| extension == "log");
    assert_eq!(files.map(|entry| entry.unwrap().file_name()).filter(is_file).count(), LOG_FILES);
    wait_for_log(&store, "the log is full: writes are refused");
    wait_for_log(&store, "a checkpoint is slow");
    expect_reads(&store);
    client.post("/item/bob/tea", &offer("1", 1)).expect_problem(503, "log is full");
    eventually("the status says so", || {
        (client.get("/status").expect(200).json()["shards"][0]["state"] == "read_only").then_some(())
    });
    fs::remove_file(&hangs).unwrap();
    expect_taken_again(&mut client);
    wait_for_log(&store, "the log has room again");
    wait_for_log(&store, "the slow checkpoint has gone on");
    expect_items(&mut client, added.into_inner());
}

#[test]
fn a_file_of_the_log_that_is_not_made_in_time_refuses_writes_until_it_is() {
    // Enough for more files than there are.
    const ADDITIONS: u64 = 400;
    let (store, hangs) = store(&[], "prepare");
    let mut client = store.client();
    let added = thread::scope(|scope| {
        let adds = scope.spawn(|| {
            let mut client = store.client();
            (0..ADDITIONS).take_while(|number| matches!(add(&mut client, *number).status, 200 | 201)).count() as u64
        });
        wait_for_log(&store, "the log is full: writes are refused");
        client.post("/item/bob/tea", &offer("1", 1)).expect_problem(503, "log is full");
        expect_reads(&store);
        fs::remove_file(&hangs).unwrap();
        expect_taken_again(&mut client);
        adds.join().unwrap()
    });
    expect_items(&mut client, added);
}

#[test]
fn a_manifest_that_stalls_keeps_nobody_from_what_is_in_memory_or_in_the_newest_file() {
    let (mut store, hangs) = store(&[], "manifest");
    let mut client = store.client();
    // The first commit after a start begins a file.
    fs::remove_file(&hangs).unwrap();
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    fs::write(&hangs, "").unwrap();
    client.post("/item/alice/tea", &offer("1", 1)).expect(200);
    wait_for_log(&store, "a test stalls this thread");
    for number in 0..20 {
        client.post(&format!("/item/c{number}/tea"), &offer("1", 1)).expect(201);
    }
    expect_reads(&store);
    assert!(store.shards[0].terminate().success(), "everything is durable");
    fs::remove_file(&hangs).unwrap();
    store.start_shard(0);
    for number in 0..20 {
        assert_eq!(client.get(&format!("/items/c{number}")).expect(200).json()["itemTotal"], 1);
    }
}

/// A file of the log that cannot be begun is a commit that is not finished: it ends the shard. Reads go on until then.
fn a_file_that_cannot_be_begun(point: &str) {
    let (mut store, hangs) = store(&["--commit-timeout", "3s"], point);
    let added = AtomicU64::new(0);
    thread::scope(|scope| {
        let waits = scope.spawn(|| add_until_refused(&mut store.client(), &added));
        let (mut client, mut last, mut reads) = (store.client(), 0, 0);
        while !waits.is_finished() {
            let answer = client.get("/items/bob");
            let now = added.load(Ordering::SeqCst);
            reads = if now == last { reads } else { 0 } + u32::from(answer.status == 200);
            last = now;
        }
        assert!(matches!(waits.join().unwrap().status, 503 | 504));
        assert!(reads > 20, "{point}: {reads} reads while the commit waited");
    });
    wait_for_log(&store, "the disk has not finished a commit in time: ending");
    store.revive_shard(0);
    fs::remove_file(&hangs).unwrap();
    expect_items(&mut store.client(), added.into_inner());
}

#[test]
fn a_header_that_stalls_ends_the_shard_and_no_read_before() {
    a_file_that_cannot_be_begun("log_header");
}

#[test]
fn a_manifest_that_stalls_ends_the_shard_once_a_commit_needs_it_and_no_read_before() {
    a_file_that_cannot_be_begun("manifest");
}

#[test]
fn the_shard_itself_says_why_it_ends_and_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let hangs = directory.path().join("hangs");
    // The launcher is less patient, but a shard whose commit waits still answers.
    let options = [
        &["--shards", "1", "--http", ANY_PORT, "--kv", ANY_PORT][..],
        &["--answer-timeout", "3s", "--commit-timeout", "5s"],
    ]
    .concat();
    let stall = format!("log_write:{}", hangs.display());
    let log = fs::File::create(directory.path().join("launcher.log")).unwrap();
    let environment = [("SHARDCART_STALL_POINT", &*stall)];
    let launcher =
        Launcher::spawn_logging(Path::new(PROGRAM), directory.path(), &options, log, &environment).until_ready();
    let mut client = Client::new(launcher.shop());
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    let shard = launcher.child("--index=0");
    fs::write(&hangs, "").unwrap();
    assert!(matches!(client.post("/item/alice/tea", &offer("1", 1)).status, 503 | 504));
    eventually("the shard is another process", || (launcher.child("--index=0") != shard).then_some(()));
    fs::remove_file(&hangs).unwrap();
    eventually("the cart is there", || (client.get("/items/alice").status == 200).then_some(()));
    launcher.expect_logged("the disk has not finished a commit in time: ending", 1);
    launcher.expect_logged("does not answer; killing", 0);
}
