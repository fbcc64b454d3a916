//! Exit statuses, which scripts tell outcomes apart by, and what to do when the outcome is unknown.

use std::fs;
use std::path::Path;
use std::thread;

use crate::harness::command::{Program, Said};
use crate::harness::proxy::Mode;
use crate::harness::scripted::{answer, lasting_problem};
use crate::harness::shop::{make_book, stock_of};
use crate::harness::{Proxy, Scripted, Setup, Store, eventually};

/// A read, and a write with an idempotency key.
const READ: [&str; 3] = ["cart", "get", "alice"];
const WRITE: [&str; 6] = ["cart", "add", "alice", "apple", "--price", "1"];

fn url(store: &Store) -> String {
    format!("http://{}", store.facade.http[0])
}

fn run(url: &str, arguments: &[&str]) -> Said {
    Program::new(Path::new("/"), arguments).store(url).env("SHARDCART_TIMEOUT", "1s").run()
}

#[test]
fn each_status_of_the_api_has_its_exit_status() {
    for (status, code, read, write) in [
        (400, "invalid", 1, 1),
        (401, "unauthorized", 5, 5),
        (402, "card_declined", 1, 1),
        (403, "forbidden", 5, 5),
        (404, "not_found", 3, 3),
        (405, "method_not_allowed", 1, 1),
        (408, "timeout", 6, 6),
        (409, "out_of_stock", 4, 4),
        (409, "in_flight", 6, 6),
        (409, "stock_held", 6, 6),
        (412, "precondition_failed", 4, 4),
        (413, "too_large", 1, 1),
        (415, "unsupported_media_type", 1, 1),
        (422, "idempotency_key_reused", 1, 1),
        (429, "too_many", 6, 6),
        (431, "unreadable", 1, 1),
        (500, "internal", 7, 7),
        (501, "not_implemented", 1, 1),
        (503, "unavailable", 6, 6),
        (504, "outcome_unknown", 7, 7),
        (507, "out_of_memory", 1, 1),
    ] {
        let server = Scripted::start(&[&lasting_problem(status, code)]);
        for (arguments, exit) in [(&READ[..], read), (&WRITE, write)] {
            let said = Program::new(Path::new("/"), arguments).store(&server.url()).run().expect(exit);
            assert!(said.out.is_empty() && said.err.starts_with(&format!("error: said {code}")), "{said:?}");
            assert_eq!(said.err.contains("--idempotency-key"), exit == 7 && arguments == WRITE, "{said:?}");
        }
    }
    let fine = answer(200, "content-type: application/json\r\n", "{}");
    let server = Scripted::start(&[&fine]);
    run(&server.url(), &["cart", "get", "alice", "--json"]).expect(0);
    // The connection breaks without an answer.
    let server = Scripted::start(&[""]);
    run(&server.url(), &READ).expect(6);
    run(&server.url(), &WRITE).expect(7);
}

#[test]
fn a_store_is_obeyed() {
    let mut store = Setup::new(1).durable().start();
    make_book(&mut store.client(), "9990000000001", 1);
    let url = url(&store);
    let directory = store.directory().to_owned();
    fs::write(directory.join("declined"), "4242 4242 4242 0002\n12/30\n").unwrap();
    let run = |arguments: &[&str]| Program::new(&directory, arguments).store(&url).env("SHARDCART_TIMEOUT", "5s").run();
    run(&WRITE).expect(0);
    run(&["cart", "set", "alice", "apple", "5000000"]).expect(1);
    run(&["order", "place", "alice", "9990000000001", "--card-file", "declined"]).expect(1);
    run(&["cart", "add", "alice"]).expect(2);
    run(&["cart", "get", ".."]).expect(2);
    run(&["cart", "get", "alice", "--url", "5000"]).expect(2);
    run(&["kv", "get", "absent"]).expect(3);
    run(&["cart", "add", "alice", "no-product"]).expect(3);
    run(&["product", "add", "9990000000001", "--isbn", "--title", "t", "--price", "1", "--stock", "1"]).expect(4);
    run(&["order", "place", "alice", "9990000000001=2"]).expect(4);
    store.shards[0].kill();
    run(&READ).expect(6);
    let said = run(&WRITE).expect(6);
    assert!(said.err.contains("nothing was applied"), "{said:?}");
}

#[test]
fn a_missing_or_wrong_key_is_told() {
    let key = "a-key-of-this-test-only";
    let store = Setup::new(1).facade_environment("SHARDCART_API_KEY", key).start();
    let (url, list) = (url(&store), ["order", "list"]);
    fs::write(store.directory().join("key"), format!("{key}\n")).unwrap();
    let program = || Program::new(store.directory(), &list).store(&url);
    let said = program().run().expect(5);
    assert!(said.err.contains("X-API-Key: is missing") && said.err.contains("SHARDCART_API_KEY"), "{said:?}");
    program().env("SHARDCART_API_KEY", "wrong-key").run().expect(5);
    program().env("SHARDCART_API_KEY", key).run().expect(0);
    program().env("BOOKSTORE_API_KEY", key).run().expect(0);
    program().env("SHARDCART_API_KEY_FILE", "key").run().expect(0);
    let said = program().env("SHARDCART_API_KEY_FILE", "absent").run();
    assert!(said.status != 0 && said.err.contains("--api-key-file absent"), "{said:?}");
    // Without a key of its own the store knows the development key, and so do the commands.
    let open = Setup::new(1).start();
    Program::new(Path::new("/"), &list).store(&format!("http://{}", open.facade.http[0])).run().expect(0);
}

/// Runs a command whose answers are lost once the store has given them, until its time is over.
fn run_unanswered(proxy: &Proxy, directory: &Path, arguments: &[&str]) -> Said {
    proxy.set(Mode::HoldReplies);
    let url = format!("http://{}", proxy.address());
    thread::scope(|scope| {
        let running =
            scope.spawn(|| Program::new(directory, arguments).store(&url).env("SHARDCART_TIMEOUT", "2s").run());
        eventually("the store has answered", || proxy.holds_anything().then_some(()));
        proxy.cut(Mode::Refuse);
        running.join().unwrap()
    })
}

/// The command line that is proposed: the last line.
fn proposed(said: &Said) -> &str {
    said.err.trim_end().lines().last().unwrap_or_default().trim()
}

#[test]
fn when_the_outcome_is_unknown_the_safe_retry_is_printed() {
    let store = Setup::new(1).start();
    make_book(&mut store.client(), "9990000000001", 9);
    let proxy = Proxy::start(&store.facade.http[0].to_string());
    let url = format!("http://{}", proxy.address());
    let said = run_unanswered(&proxy, store.directory(), &["order", "place", "al ice", "9990000000001"]).expect(7);
    assert!(said.out.is_empty() && said.err.contains("may have been applied"), "{said:?}");
    proxy.set(Mode::Pass);
    let again = Program::of_shell(store.directory(), proposed(&said)).store(&url).run().expect(0);
    assert!(again.out.contains("created"), "{again:?}");
    assert_eq!(stock_of(&mut store.client(), "9990000000001").sold, 1);
    // The key that was given is kept.
    let given = [&WRITE[..], &["--idempotency-key", "my key"]].concat();
    let said = run_unanswered(&proxy, store.directory(), &given).expect(7);
    assert!(proposed(&said).ends_with("--idempotency-key 'my key'"), "{said:?}");
}

#[test]
fn a_deletion_of_a_value_is_not_repeated_and_storing_one_is() {
    let store = Setup::new(1).start();
    let proxy = Proxy::start(&store.facade.http[0].to_string());
    let url = format!("http://{}", proxy.address());
    store.client().put("/kv/a", "value").expect(201);
    let said = run_unanswered(&proxy, store.directory(), &["kv", "delete", "a"]).expect(7);
    assert_eq!(proposed(&said), "shardcart kv get a", "{said:?}");
    store.client().get("/kv/a").expect(404);
    let said = run_unanswered(&proxy, store.directory(), &["kv", "put", "a", "b c"]).expect(7);
    assert!(proposed(&said).ends_with("kv put a 'b c'"), "{said:?}");
    proxy.set(Mode::Pass);
    Program::of_shell(store.directory(), proposed(&said)).store(&url).run().expect(0);
    assert_eq!(Program::new(store.directory(), &["kv", "get", "a"]).store(&url).run().expect(0).out, "b c");
}
