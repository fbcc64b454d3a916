//! The import of a catalog into a new store: once, as a whole, and in spite of interruptions.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::harness::launcher::{Launcher, PROGRAM};
use crate::harness::{Client, Facade, Process, Setup, eventually};

/// The copy that the launcher makes for its shards.
const COPY: &str = "data/catalog-copied-by-launch.jsonl";

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
        assert!(launcher.printed("catalog: 2 products"));
        let mut client = Client::new(launcher.shop());
        assert_eq!(ids(&mut client), ["978-1", "b"]);
        let book = client.get("/info/978-1").expect(200);
        assert_eq!((book.number("price").as_str(), book.number("stock").as_str()), ("12.10", "3"));
        client.delete("/catalog/books/b").expect(200);
        assert!(!directory.path().join(COPY).exists());
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
        ("a.csv", "id,title,price,stock\na,T,1,1\na,T,1,1\n", "a.csv:3: id: a is in line 2 already"),
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

/// Books in a file, `id,title,price,stock` each.
fn write_books(directory: &Path, name: &str, books: &[&str]) -> String {
    let path = directory.join(name);
    fs::write(&path, format!("id,title,price,stock\n{}\n", books.join("\n"))).unwrap();
    path.display().to_string()
}

/// The arguments of shard 0 of 1 with its data in `directory/shard`.
fn shard_args(directory: &Path, catalog: &str) -> Vec<String> {
    let data = directory.join("shard");
    let listen = format!("unix:{}", data.join("sock").display());
    let data = data.display().to_string();
    let args = ["shard", "--index", "0", "--shards", "1", "--listen", &listen, "--data", &data];
    args.into_iter().chain(["--catalog", catalog, "--payment", "unix:/none"]).map(str::to_owned).collect()
}

/// The number of products of a shard, or the log of one that cannot be started.
fn products_of_shard(directory: &Path, catalog: &str) -> Result<usize, String> {
    let shard = Process::try_start("shard", directory, &shard_args(directory, catalog)).map_err(|(_, log)| log)?;
    let facade = Facade::start(directory, "facade", &[shard.ready().to_owned()], &[], &[]);
    Ok(ids(&mut facade.client()).len())
}

#[test]
fn a_shard_in_memory_imports_at_every_start() {
    let directory = tempfile::tempdir().unwrap();
    write_books(directory.path(), "two.csv", &["a,A,1,1", "b,B,1,1"]);
    let products = |catalog: &str| {
        let mut launcher = spawn(directory.path(), &["--storage", "memory", "--catalog", catalog]).until_ready();
        // A shard with storage in memory loses everything when it dies, and imports again.
        kill_process(launcher.child("--index=0"), Signal::KILL).unwrap();
        kill_process(launcher.child("--index=1"), Signal::KILL).unwrap();
        eventually("both have been started again", || {
            (launcher.lines().iter().filter(|line| line.contains(": ready after ")).count() == 6).then_some(())
        });
        let found = eventually("both are served", || {
            let page = Client::new(launcher.shop()).get("/catalog/books");
            (page.status == 200).then(|| page.json()["items"].as_array().map(Vec::len))
        });
        launcher.signal(Signal::TERM);
        launcher.wait();
        found
    };
    assert_eq!([products("two.csv"), products("sample"), products("none")], [Some(2), Some(11), Some(0)]);
    assert!(!directory.path().join(COPY).exists());
}

#[test]
fn an_interrupted_shard_needs_the_same_file() {
    const ROWS: usize = 30_000;
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..ROWS).map(|row| format!("p{row},Product {row},1.00,{row}")).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let many = write_books(directory.path(), "many.csv", &rows);
    let mut shard = Command::new(PROGRAM)
        .args(shard_args(directory.path(), &many))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shard.stdout.take().unwrap()).lines().map_while(Result::ok);
    let filling = lines.any(|line| line.starts_with("progress filling, "));
    shard.kill().unwrap();
    shard.wait().unwrap();
    assert!(filling);
    for other in ["sample", "none", &write_books(directory.path(), "other.csv", &["a,A,1,1"])] {
        let log = products_of_shard(directory.path(), other).unwrap_err();
        assert!(log.contains("many.csv") && log.contains("was interrupted"), "{other}: {log}");
    }
    assert_eq!(products_of_shard(directory.path(), &many), Ok(ROWS));
    assert_eq!(products_of_shard(directory.path(), "sample"), Ok(ROWS), "it is not fresh any more");
}

#[test]
fn a_bad_file_leaves_a_shard_fresh() {
    let directory = tempfile::tempdir().unwrap();
    let bad = write_books(directory.path(), "bad.csv", &["a,A,1,1", "b,B,1.005,1"]);
    let log = products_of_shard(directory.path(), &bad).unwrap_err();
    assert!(log.contains("bad.csv:3: price: has more than 2 fraction digits"), "{log}");
    assert_eq!(products_of_shard(directory.path(), &bad.replace("bad", "no")).map_err(|_| ()), Err(()));
    let good = write_books(directory.path(), "good.csv", &["a,A,1,1"]);
    assert_eq!(products_of_shard(directory.path(), &good), Ok(1));
}

#[test]
fn a_pipe_is_refused_and_a_copy_that_was_left_behind_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = spawn(directory.path(), &["--catalog", "/dev/null"]);
    assert_eq!(launcher.wait().code(), Some(2));
    assert!(launcher.log().contains("is no regular file") && !directory.path().join("data").exists());
    write_books(directory.path(), "one.csv", &["a,A,1,1"]);
    let stop = |mut launcher: Launcher| {
        launcher.signal(Signal::TERM);
        launcher.wait();
    };
    stop(spawn(directory.path(), &["--catalog", "one.csv"]).until_ready());
    // As after a launcher that was killed just before it removed the copy.
    let copy = directory.path().join(COPY);
    fs::write(&copy, "").unwrap();
    let launcher = spawn(directory.path(), &[]).until_ready();
    assert_eq!(ids(&mut Client::new(launcher.shop())), ["a"]);
    assert!(!copy.exists());
}

#[test]
fn a_file_of_the_user_in_the_data_directory_stays() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("data/catalog.jsonl");
    let book = "{\"id\":\"a\",\"title\":\"A\",\"price\":1,\"stock\":1}\n";
    fs::create_dir(own.parent().unwrap()).unwrap();
    fs::write(&own, book).unwrap();
    for catalog in ["data/catalog.jsonl", "none"] {
        let mut launcher = spawn(directory.path(), &["--catalog", catalog]).until_ready();
        assert_eq!(ids(&mut Client::new(launcher.shop())), ["a"]);
        launcher.signal(Signal::TERM);
        launcher.wait();
        assert_eq!(fs::read_to_string(&own).unwrap(), book);
        assert!(!directory.path().join(COPY).exists());
    }
}

#[test]
fn a_long_check_can_be_interrupted() {
    const ROWS: usize = 400_000;
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..ROWS).map(|row| format!("p{row},Product {row},1.00,{row}")).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    write_books(directory.path(), "many.csv", &rows);
    let mut launcher = spawn(directory.path(), &["--catalog", "many.csv", "--allow-core-dumps"]);
    eventually("the file is open", || {
        let files = fs::read_dir(format!("/proc/{}/fd", launcher.pid().as_raw_pid())).ok()?;
        files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).find(|path| path.ends_with("many.csv"))
    });
    launcher.signal(Signal::INT);
    assert_eq!(launcher.wait().code(), Some(1));
    assert!(launcher.log().contains("asked to end before it was read"), "{}", launcher.log());
    assert!(!launcher.printed("catalog: ") && !directory.path().join("data").exists());
}

#[test]
fn an_import_leaves_the_disk_its_free_space_and_goes_on_later() {
    let directory = tempfile::tempdir().unwrap();
    let rows = (0..10).map(|id| format!("b{id},T,1,1\n")).collect::<String>();
    let catalog = directory.path().join("books.csv");
    fs::write(&catalog, format!("id,title,price,stock\n{rows}")).unwrap();
    let (data, socket) = (directory.path().join("data"), directory.path().join("sock"));
    let arguments = |min_free: &str| {
        let listen = format!("unix:{}", socket.display());
        let words = ["shard", "--index", "0", "--shards", "1", "--listen", &listen, "--data", data.to_str().unwrap()];
        let more = [
            "--payment",
            "unix:nobody",
            "--log-size",
            "32MiB",
            "--catalog",
            catalog.to_str().unwrap(),
            "--min-free",
            min_free,
        ];
        words.iter().chain(&more).map(ToString::to_string).collect::<Vec<_>>()
    };
    let Err((status, log)) = Process::try_start("shard", directory.path(), &arguments("1000TiB")) else {
        panic!("it is imported")
    };
    assert!(!status.success() && log.contains("the disk is nearly full"), "{log}");
    Process::try_start("shard", directory.path(), &arguments("1MiB")).expect("the import goes on");
}

#[test]
fn a_copy_leaves_the_disk_its_free_space_or_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    write_books(directory.path(), "one.csv", &["a,A,1,1"]);
    let mut launcher = spawn(directory.path(), &["--catalog", "one.csv", "--min-free", "1000TiB"]);
    assert_eq!(launcher.wait().code(), Some(1));
    let log = launcher.log();
    assert!(log.contains("no room for the copy") && log.contains("with --min-free"), "{log}");
    let left: Vec<_> =
        fs::read_dir(directory.path().join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains("catalog")), "{left:?}");
    let launcher = spawn(directory.path(), &["--catalog", "one.csv", "--min-free", "1MiB"]).until_ready();
    assert_eq!(ids(&mut Client::new(launcher.shop())), ["a"]);
}
