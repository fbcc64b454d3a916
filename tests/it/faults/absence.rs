//! Something that was there is gone: that is never taken for a store that has nothing.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM, failed_start};
use crate::harness::shop::{CARD, insist, make_book, order_of, settled};
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
fn a_socket_that_is_gone_makes_nobody_a_new_customer_and_is_bound_again() {
    let mut store = Setup::new(2).durable().start();
    let (here, gone) = (store.customer_on(0, "customer"), store.customer_on(1, "customer"));
    let books = [0, 1].map(|shard| store.customer_on(shard, "978-"));
    books.iter().for_each(|book| make_book(&mut store.client(), book, 3));
    for customer in [&here, &gone] {
        store.client().post(&format!("/item/{customer}/tea"), &offer("1", 1)).expect(201);
    }
    let socket = store.directory().join("shard-1/sock");
    // A new facade, and the other shard as a peer.
    for (round, seeker) in [(1, "facade"), (2, "peer")] {
        fs::remove_file(&socket).unwrap();
        // The sessions that are open go on.
        assert_eq!(store.client().get(&format!("/items/{gone}")).expect(200).json()["itemTotal"], 1);
        match seeker {
            "facade" => store.replace_facade(),
            _ => store.restart_shard(0),
        }
        let mut client = store.client();
        let path = |customer: &str| format!("/items/{customer}");
        eventually("the other shard answers", || (client.get(&path(&here)).status == 200).then_some(()));
        eventually("the socket is bound again", || {
            let (cart, book) = (client.get(&path(&gone)), client.get(&format!("/info/{}", books[1])));
            // Until then there is no answer, never an empty cart or a product that is not known.
            assert!(cart.status == 503 || cart.json()["itemTotal"] == 1, "{cart:?}");
            assert!([200, 503].contains(&book.status), "{book:?}");
            (cart.status == 200 && socket.exists()).then_some(())
        });
        let body = order_of("bob", &[&books[0], &books[1]], CARD);
        insist(&mut client, seeker, &body).expect(201);
        let sold = settled(&store, &[&books[0], &books[1]]);
        assert!(sold.iter().all(|stock| stock.sold == round), "{sold:?}");
    }
    store.shards[1].process().expect_logged("the socket was removed: it is bound again", 2);
}

#[test]
fn a_shard_whose_socket_cannot_be_bound_again_ends_and_says_why() {
    for is_replaced in [true, false] {
        let mut store = Setup::new(1).durable().start();
        let (data, away) = (store.directory().join("shard-0"), store.directory().join("away"));
        if is_replaced {
            fs::remove_file(data.join("sock")).unwrap();
            fs::write(data.join("sock"), "something else").unwrap();
        } else {
            fs::rename(&data, &away).unwrap();
        }
        eventually("it ends", || store.shards[0].has_ended().then_some(()));
        store.shards[0].process().expect_logged("the socket was taken away: ending", 1);
        if is_replaced {
            fs::remove_file(data.join("sock")).unwrap();
        } else {
            fs::rename(&away, &data).unwrap();
        }
        store.start_shard(0);
    }
}

#[test]
fn the_socket_of_the_simulated_gateway_is_bound_again() {
    let store = Setup::new(1).start();
    let gateway = store.gateway.as_ref().unwrap();
    fs::remove_file(gateway.socket()).unwrap();
    eventually("it listens again", || UnixStream::connect(gateway.socket()).ok());
    assert_eq!(gateway.ask("GET", "/payments", "").0, 200);
}

#[test]
fn a_copy_of_the_catalog_that_is_gone_makes_no_empty_store() {
    const COPY: &str = "data/catalog-copied-by-launch.jsonl";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("books.csv"), "id,title,price,stock\na,A,1,5\n").unwrap();
    let options = ["--shards", "1", "--http", ANY_PORT, "--kv", ANY_PORT, "--catalog", "books.csv"];
    let is_missing = |log: &str| log.contains(&format!("cannot read {}", directory.path().join(COPY).display()));
    // Under a running store, whose shards import it at every start.
    let in_memory = [&options[..], &["--storage", "memory"]].concat();
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &in_memory).until_ready();
    let mut client = Client::new(launcher.shop());
    client.get("/info/a").expect(200);
    fs::remove_file(directory.path().join(COPY)).unwrap();
    kill_process(launcher.child("--index=0"), Signal::KILL).unwrap();
    eventually("it does not start", || is_missing(&launcher.log()).then_some(()));
    client.get("/info/a").expect_problem(503, "");
    client.get("/catalog/books").expect_problem(503, "");
    launcher.signal(Signal::TERM);
    launcher.wait();
    fs::remove_dir_all(directory.path().join("data")).unwrap();
    fs::remove_file(directory.path().join("launcher.log")).unwrap();
    // And under one that starts: the launcher was killed after it had made the copy, and before a shard had read it.
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    launcher.signal(Signal::TERM);
    launcher.wait();
    DATA.iter().for_each(|name| fs::remove_dir_all(directory.path().join("data/shard-0").join(name)).unwrap());
    let file = directory.path().join("data/store.json");
    let mut store: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    (store["catalog"], store["was_ready"]) = ("file".into(), false.into());
    fs::write(&file, store.to_string()).unwrap();
    assert!(is_missing(&failed_start(directory.path(), &options)));
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
