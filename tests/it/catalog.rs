//! What a fresh store is filled with, and that it is filled once, whole, and whatever interrupts it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::harness::{Client, Setup, eventually};
use super::launcher::Launcher;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shardcart");

fn spawn(directory: &Path, more: &[&str]) -> Launcher {
    let ports = ["--shards", "2", "--http", "127.0.0.1:0", "--kv", "127.0.0.1:0"];
    Launcher::spawn(Path::new(PROGRAM), directory, &[&ports, more].concat())
}

/// The ids of all products, page by page.
fn ids(client: &mut Client) -> Vec<String> {
    let mut ids = Vec::new();
    let mut path = "/catalog/books?limit=1000".to_owned();
    loop {
        let page = client.get(&path).expect(200).json();
        let items = page["items"].as_array().expect("items");
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        let Value::String(cursor) = &page["next_cursor"] else { return ids };
        path = format!("/catalog/books?limit=1000&cursor={cursor}");
    }
}

#[test]
fn a_fresh_store_has_the_sample_once() {
    let mut store = Setup::new(2).durable().start();
    let mut client = store.client();
    let found = ids(&mut client);
    assert_eq!(found.len(), 11);
    let martian = client.get("/info/9780143127550").expect(200).json();
    assert_eq!((&martian["title"], &martian["author"]), (&"The Martian".into(), &"Andy Weir".into()));
    assert_eq!(client.get("/info/9780140449136").expect(200).number("price"), "9.50");
    for topic in ["distributed%20systems", "Undergraduate%20School"] {
        assert_eq!(client.get(&format!("/search/{topic}")).expect(200).json().as_array().map(Vec::len), Some(4));
    }
    client.delete("/catalog/books/1").expect(200);
    client.put("/replenish", r#"{"id": 2, "quantity": 5}"#).expect(200);
    (0..2).for_each(|shard| store.restart_shard(shard));
    client.get("/info/1").expect(404);
    assert_eq!(client.get("/info/2").expect(200).number("stock"), "15");
    assert_eq!(ids(&mut client).len(), 10);
}

#[test]
fn a_store_may_be_empty() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = spawn(directory.path(), &["--catalog", "none"]).until_ready();
    assert!(ids(&mut Client::new(launcher.shop())).is_empty());
}

#[test]
fn a_file_fills_a_fresh_store_and_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("books.csv");
    fs::write(&file, "isbn,id,title,price,stock,topic\n978-1,,\"One, two\",12.10,3,tests\n,b,B,0,0,\n").unwrap();
    let options = ["--catalog", "books.csv"];
    {
        let mut launcher = spawn(directory.path(), &options).until_ready();
        assert!(launcher.printed("catalogue: 2 products"));
        let mut client = Client::new(launcher.shop());
        assert_eq!(ids(&mut client), ["978-1", "b"]);
        let book = client.get("/info/978-1").expect(200);
        assert_eq!((book.number("price").as_str(), book.number("stock").as_str()), ("12.10", "3"));
        client.delete("/catalog/books/b").expect(200);
        assert!(!directory.path().join("data/catalog.jsonl").exists());
        launcher.signal(Signal::TERM);
        launcher.wait();
    }
    let launcher = spawn(directory.path(), &options).until_ready();
    assert!(launcher.printed("--catalog books.csv is not read"));
    assert_eq!(ids(&mut Client::new(launcher.shop())), ["978-1"]);
}

#[test]
fn a_bad_row_is_named_and_nothing_is_started_or_written() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text, complaint) in [
        ("a.csv", "id,title,price,stock\na,T,1,1\na,T,1,1\n", "a.csv:3: id: a is there in line 2 already"),
        (
            "b.json",
            "[\n{\"id\": \"a\", \"title\": \"T\", \"price\": -1, \"stock\": 1}]",
            "b.json:2: price: is negative",
        ),
        ("none.csv", "", "none.csv"),
    ] {
        if !text.is_empty() {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let mut launcher = spawn(directory.path(), &["--catalog", name]);
        assert!(!launcher.wait().success());
        assert!(launcher.log().contains(complaint), "{}", launcher.log());
        assert!(!directory.path().join("data").exists());
    }
}

#[test]
fn an_import_that_was_interrupted_is_finished_by_the_next_start() {
    const ROWS: usize = 60_000;
    let directory = tempfile::tempdir().unwrap();
    let mut text = String::from("id,title,price,stock\n");
    (0..ROWS).for_each(|row| writeln!(text, "p{row},Product {row},1.00,{row}").unwrap());
    let file = directory.path().join("many.csv");
    fs::write(&file, text).unwrap();
    let mut launcher = spawn(directory.path(), &["--catalog", "many.csv"]);
    eventually("the shards are being filled", || {
        launcher.lines().iter().any(|line| line.contains("filling, ")).then_some(())
    });
    launcher.signal(Signal::KILL);
    launcher.wait();
    fs::remove_file(&file).unwrap();
    let launcher = spawn(directory.path(), &[]).until_ready();
    let mut client = Client::new(launcher.shop());
    assert_eq!(ids(&mut client).len(), ROWS);
    assert_eq!(client.get("/info/p59999").expect(200).number("stock"), "59999");
}
