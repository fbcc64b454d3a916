//! A disk that hangs: only who needs it waits.

use std::fs;
use std::thread;

use crate::harness::{Client, Setup, Store, eventually, offer};

/// A store of one shard that stalls at a point while the file at the path exists.
fn store(options: &[&str], point: &str) -> (Store, std::path::PathBuf) {
    let mut store = Setup::new(1).durable().shard_options(options).start();
    let hangs = store.directory().join("hangs");
    store.arm_stall(0, point, &hangs);
    (store, hangs)
}

#[test]
fn reads_of_the_disk_that_hang_delay_nobody_else() {
    let (store, hangs) = store(&[], "stored_read");
    let mut client = store.client();
    let order = client.post("/purchase/1", "").expect(201).json()["order_id"].as_str().unwrap().to_owned();
    let path = format!("/api/orders/{order}");
    let add = |client: &mut Client| {
        client.call("POST", "/item/alice/tea").header("Idempotency-Key", "first").json(&offer("1", 1)).send()
    };
    let first = add(&mut client).expect(201);
    fs::write(&hangs, "").unwrap();
    let (mut reader, mut repeater) = (store.client(), store.client());
    let read = thread::spawn(move || reader.call("GET", &path).header("X-API-Key", "secret123").send());
    let repeated = thread::spawn(move || add(&mut repeater));
    for customer in 0..20 {
        client.post(&format!("/item/c{customer}/tea"), &offer("1", 1)).expect(201);
        client.get(&format!("/items/c{customer}")).expect(200);
    }
    client.post("/purchase/2", "").expect(201);
    assert!(!read.is_finished() && !repeated.is_finished(), "they wait for the disk");
    fs::remove_file(&hangs).unwrap();
    assert_eq!(read.join().unwrap().expect(200).json()["order_id"], order);
    assert_eq!(repeated.join().unwrap().expect(201).body, first.body);
}

#[test]
fn a_read_of_the_disk_that_hangs_is_answered_within_its_limit() {
    let (store, hangs) = store(&[], "stored_read");
    let mut client = store.client();
    let order = client.post("/purchase/1", "").expect(201).json()["order_id"].as_str().unwrap().to_owned();
    fs::write(&hangs, "").unwrap();
    let path = format!("/api/orders/{order}");
    let read = |client: &mut Client| client.call("GET", &path).header("X-API-Key", "secret123").send();
    let late = read(&mut client);
    assert!(matches!(late.status, 503 | 504), "{late:?}");
    assert!(hangs.exists());
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    fs::remove_file(&hangs).unwrap();
    eventually("the order is read again", || (read(&mut client).status == 200).then_some(()));
}

#[test]
fn a_commit_that_the_disk_does_not_finish_ends_the_shard() {
    let (mut store, hangs) = store(&["--commit-timeout", "1s"], "log_write");
    let mut client = store.client();
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    fs::write(&hangs, "").unwrap();
    let answer = client.post("/item/alice/tea", &offer("1", 1));
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    store.revive_shard(0);
    fs::remove_file(&hangs).unwrap();
    let count = eventually("the shard is back", || {
        let answer = client.get("/items/alice");
        (answer.status == 200).then(|| answer.json()["itemTotal"].as_u64().unwrap())
    });
    assert!(matches!(count, 1 | 2), "{count}");
}

#[test]
fn a_shard_whose_disk_hangs_ends_when_it_is_asked_to() {
    let (mut store, hangs) = store(&[], "log_write");
    let mut client = store.client();
    fs::write(&hangs, "").unwrap();
    let writer = thread::spawn(move || client.post("/item/alice/tea", &offer("1", 1)));
    eventually("the commit is under way", || store.shards[0].process().log().contains("a test stalls").then_some(()));
    let status = store.shards[0].terminate();
    assert!(!status.success(), "it cannot know whether the commit is durable");
    assert!(matches!(writer.join().unwrap().status, 503 | 504));
    fs::remove_file(&hangs).unwrap();
}
