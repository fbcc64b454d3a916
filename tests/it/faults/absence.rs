//! Something that was there is gone: that is never taken for a store that has nothing.

use std::fs;
use std::path::Path;

use rustix::process::{Signal, kill_process};

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM, failed_start};
use crate::harness::shop::{make_book, stock_of};
use crate::harness::{Client, Process, Setup, eventually, offer};

/// The directories of a shard that have its records.
const DATA: [&str; 2] = ["log", "tables"];

#[test]
fn a_shard_whose_data_is_gone_begins_no_new_store() {
    const SAMPLE: &str = "/info/8";
    let directory = tempfile::tempdir().unwrap();
    let options = ["--shards", "1", "--http", ANY_PORT, "--kv", ANY_PORT];
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    let mut client = Client::new(launcher.shop());
    let version = client.post("/item/alice/tea", &offer("1", 3)).expect(201).version();
    client.delete("/catalog/books/8").expect(200);
    let (shard, away) = (directory.path().join("data/shard-0"), directory.path().join("away"));
    fs::create_dir(&away).unwrap();
    for name in DATA {
        fs::rename(shard.join(name), away.join(name)).unwrap();
        // As where a disk is not mounted.
        fs::create_dir(shard.join(name)).unwrap();
    }
    let is_missing = |log: &str| log.contains("shard-0: the data of this shard is missing");
    kill_process(launcher.child("--index=0"), Signal::KILL).unwrap();
    eventually("it refuses to start", || is_missing(&launcher.log()).then_some(()));
    client.get("/items/alice").expect_problem(503, "");
    client.get(SAMPLE).expect_problem(503, "");
    for name in DATA {
        assert_eq!(fs::read_dir(shard.join(name)).unwrap().count(), 0, "nothing was made in {name}");
        fs::remove_dir(shard.join(name)).unwrap();
        fs::rename(away.join(name), shard.join(name)).unwrap();
    }
    let cart = eventually("it starts once its data is back", || {
        let answer = client.get("/items/alice");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!((cart.version(), &cart.json()["itemTotal"]), (version, &3.into()));
    client.get(SAMPLE).expect(404);
    launcher.signal(Signal::TERM);
    launcher.wait();
    for name in DATA {
        fs::remove_dir_all(shard.join(name)).unwrap();
        fs::create_dir(shard.join(name)).unwrap();
    }
    let said = failed_start(directory.path(), &options);
    assert!(is_missing(&said) && said.contains("shard 0 of 1 could not be started"), "{said}");
}

#[test]
fn a_shard_that_must_have_data_makes_none() {
    let store = Setup::new(1).durable().start();
    let empty = store.directory().join("empty");
    let mut args = store.shards[0].args().to_vec();
    for (option, value) in [("--data", &empty), ("--listen", &empty.join("sock"))] {
        let at = args.iter().position(|arg| arg == option).unwrap();
        args[at + 1] = format!("{}{}", if option == "--listen" { "unix:" } else { "" }, value.display());
    }
    args.push("--require-data".into());
    let Err((status, log)) = Process::try_start("empty", store.directory(), &args) else { panic!("it runs") };
    assert!(status.code() == Some(1) && log.contains("the data of this shard is missing"), "{status}: {log}");
    let made: Vec<_> = fs::read_dir(&empty).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["error.log"]);
    args.pop();
    let mut first = Process::start("empty", store.directory(), &args);
    assert!(first.terminate().success());
    args.push("--require-data".into());
    Process::start("empty", store.directory(), &args);
}

#[test]
fn a_socket_that_is_gone_makes_nobody_a_new_customer() {
    let mut store = Setup::new(2).durable().start();
    let (here, gone) = (store.customer_on(0, "customer"), store.customer_on(1, "customer"));
    let book = store.customer_on(1, "978-");
    make_book(&mut store.client(), &book, 3);
    for customer in [&here, &gone] {
        store.client().post(&format!("/item/{customer}/tea"), &offer("1", 1)).expect(201);
    }
    fs::remove_file(store.directory().join("shard-1/sock")).unwrap();
    // The sessions that are open go on.
    assert_eq!(store.client().get(&format!("/items/{gone}")).expect(200).json()["itemTotal"], 1);
    // A new facade cannot open one: it answers for the other shard, and gives no empty cart and no short list.
    let facade = store.another_facade("second", &store.addresses());
    let mut client = facade.client();
    eventually("the other shard answers", || (client.get(&format!("/items/{here}")).status == 200).then_some(()));
    client.get(&format!("/items/{gone}")).expect_problem(503, "");
    client.post(&format!("/item/{gone}/tea"), &offer("1", 1)).expect_problem(503, "nothing was applied");
    client.get(&format!("/info/{book}")).expect_problem(503, "");
    client.get("/catalog/books").expect_problem(503, "");
    client.get("/readyz").expect(503);
    // A start makes the socket anew.
    store.restart_shard(1);
    assert_eq!(store.client().get(&format!("/items/{gone}")).expect(200).json()["itemTotal"], 1);
    assert_eq!(stock_of(&mut store.client(), &book).stock, 3);
    eventually("the new facade finds it", || (client.get(&format!("/items/{gone}")).status == 200).then_some(()));
}

#[test]
fn a_key_file_that_is_gone_does_not_open_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("keys.json");
    let store = Setup::new(1).start();
    let args = ["facade", "--http", "127.0.0.1:0", "--kv", "127.0.0.1:0", "--shards", &store.addresses()[0], "--data"];
    let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
    args.extend([directory.path().display().to_string(), "--api-keys".into(), missing.display().to_string()]);
    let Err((status, log)) = crate::harness::Process::try_start("without-keys", directory.path(), &args) else {
        panic!("it starts without its keys")
    };
    assert!(!status.success() && log.contains("keys.json"), "{log}");
}
