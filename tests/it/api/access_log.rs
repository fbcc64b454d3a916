//! The access log: every answered request id is found in it, nobody can forge its lines, and nobody waits for it.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::process::Command;

use serde_json::Value;
use shardcart::access::{KeyFile, Role};

use crate::harness::http::Connection;
use crate::harness::{Answer, Facade, Setup, Store, eventually, offer};

const SHOP: &str = "https://shop.example";

/// What the log of a facade has about an answer, which is written soon, not at once.
fn line_of(facade: &Facade, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").expect("every answer has an id");
    let lines = eventually(&format!("{id} is in the access log"), || {
        let lines: Vec<Value> = entries(&facade.access_log());
        let found: Vec<_> = lines.into_iter().filter(|line| line["request_id"] == id).collect();
        (!found.is_empty()).then_some(found)
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.into_iter().next().expect("there is one")
}

/// The whole lines of a log in JSON.
fn entries(log: &str) -> Vec<Value> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The answer to bytes that are sent on a connection of their own.
fn raw(store: &Store, bytes: &[u8]) -> Answer {
    let mut connection = Connection::open(store.facade.http[0]).expect("the facade listens");
    connection.send(bytes).expect("the bytes are taken");
    connection.receive("GET").expect("an answer")
}

#[test]
fn every_answered_request_is_found_by_its_id() {
    let options = ["--access-log", "json", "--body-timeout-ms", "200", "--cors-origin", SHOP];
    let mut store = Setup::new(2).facade_options(&options).start();
    let (first, second) = (store.customer_on(0, "a"), store.customer_on(1, "b"));
    let mut client = store.client();
    let line = "/item/{customerId}/{itemId}";
    let preflight = client.call("OPTIONS", "/items/alice").header("Origin", SHOP);
    let preflight = preflight.header("Access-Control-Request-Method", "POST").send();
    let answers = [
        (client.post(&format!("/item/{first}/tea"), &offer("1", 1)), "POST", line, 201, Some(0)),
        (client.post(&format!("/item/{second}/tea"), &offer("1", 1)), "POST", line, 201, Some(1)),
        (client.get(&format!("/items/{second}")), "GET", "/items/{customerId}", 200, Some(1)),
        (client.call("HEAD", &format!("/items/{first}")).send(), "HEAD", "/items/{customerId}", 200, Some(0)),
        (client.get("/catalog/books"), "GET", "/catalog/books", 200, None),
        (client.get("/livez"), "GET", "/livez", 200, None),
        (client.get("/readyz"), "GET", "/readyz", 200, None),
        (preflight, "OPTIONS", "/items/{customerId}", 204, None),
        (client.get("/items/%00"), "GET", "/items/{customerId}", 400, None),
        (client.get("/api/books"), "GET", "/api/books", 401, None),
        (client.get("/none"), "GET", "other", 404, None),
        (client.call("BREW", "/livez").send(), "BREW", "/livez", 405, None),
        (client.post("/item/a/tea", &" ".repeat(70_000)), "POST", line, 413, None),
        (store.kv_client().get("/key"), "GET", "/{key}", 404, Some(store.shard_of("key") as u64)),
    ];
    let unreadable = [
        raw(&store, b"NOT HTTP\r\n\r\n").expect(400),
        raw(&store, format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)).as_bytes()).expect(431),
    ];
    let late = raw(&store, b"POST /item/a/tea HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n");
    store.shards[0].kill();
    let failed = eventually("a request fails", || {
        let answer = client.get(&format!("/items/{first}"));
        (answer.status == 503).then_some(answer)
    });
    let rest = [(late, "POST", line, 408, None), (failed, "GET", "/items/{customerId}", 503, Some(0))];
    for (answer, method, path, status, shard) in answers.into_iter().chain(rest) {
        let answer = answer.expect(status);
        let entry = line_of(&store.facade, &answer);
        assert_eq!((&entry["method"], &entry["path"]), (&method.into(), &path.into()), "{entry}");
        assert_eq!((&entry["status"], &entry["bytes"]), (&status.into(), &answer.body.len().into()), "{entry}");
        assert_eq!(entry["shard"], Value::from(shard), "{entry}");
        assert!(entry["microseconds"].is_u64() && entry["target"].is_null() && entry["key_id"].is_null(), "{entry}");
        assert!(entry["peer"].as_str().expect("a peer").starts_with("127.0.0.1:"), "{entry}");
    }
    for answer in unreadable {
        let entry = line_of(&store.facade, &answer);
        assert_eq!((&entry["status"], &entry["bytes"]), (&answer.status.into(), &answer.body.len().into()), "{entry}");
        assert!(entry["method"].is_null() && entry["path"].is_null(), "{entry}");
        assert!(entry["peer"].as_str().expect("a peer").starts_with("127.0.0.1:"), "{entry}");
    }
}

#[test]
fn a_line_names_the_key_and_never_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    let (entry, key) = KeyFile::add(&file, "reader", Role::Read).unwrap();
    let options = ["--access-log", "json", "--api-keys", file.to_str().unwrap()];
    let own = "a-key-of-the-environment";
    let store = Setup::new(1).facade_options(&options).facade_environment("SHARDCART_API_KEY", own).start();
    let mut client = store.client();
    let id = Value::from(entry.id);
    for (method, path, key, status, id) in [
        ("GET", "/api/books", key.reveal(), 200, &id),
        ("POST", "/api/orders", key.reveal(), 403, &id),
        ("GET", "/api/books", own, 200, &"environment".into()),
        ("GET", "/api/books", "an-unknown-key", 401, &Value::Null),
        ("GET", "/livez", own, 200, &Value::Null),
    ] {
        let answer = client.call(method, path).header("X-API-Key", key).send().expect(status);
        assert_eq!(line_of(&store.facade, &answer)["key_id"], *id, "{path}");
    }
    let log = store.facade.access_log();
    assert!(![key.reveal(), own, "an-unknown-key"].iter().any(|key| log.contains(key)), "{log}");
}

#[test]
fn no_request_makes_up_a_line_or_a_field() {
    let ids = ["a\",\"status\":200,\"x\":\"", "a\\", "key=admin", "\\u000a", "200;shard=0", "%0a", "{}"];
    let targets = ["/items/a%0Ab", "/items/a\u{85}b", "/items/a\u{2028}b?x=\"", "/items/\u{202e}a", "/items/a\\\"b"];
    for (format, level) in [("json", "debug"), ("human", "debug")] {
        let setup = Setup::new(1).facade_options(&["--access-log", format]);
        let store = setup.facade_environment("SHARDCART_LOG", level).start();
        for id in ids {
            for target in targets {
                let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\n\r\n");
                assert!(raw(&store, request.as_bytes()).header("x-request-id").is_some());
            }
        }
        // A space, a tab and a letter beyond ASCII make an id that is replaced.
        for id in ["a b", "a\tb", "a\u{85}b"] {
            let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\n\r\n");
            assert_ne!(raw(&store, request.as_bytes()).header("x-request-id"), Some(id));
        }
        let requests = ids.len() * targets.len() + 3;
        let log = eventually("all lines are written", || {
            Some(store.facade.access_log()).filter(|log| log.matches('\n').count() >= requests)
        });
        assert!(log.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{log}");
        assert_eq!(log.lines().count(), requests, "{log}");
        // What was no HTTP has no target.
        match format {
            "json" => assert!(
                entries(&log).iter().all(|line| line.as_object().is_some_and(|line| matches!(line.len(), 10 | 11)))
            ),
            _ => assert!(log.lines().all(|line| matches!(line.split(' ').count(), 10 | 11)), "{log}"),
        }
    }
}

#[test]
fn ids_of_customers_are_shown_at_the_level_debug_only() {
    for (level, is_shown) in [("info", false), ("shardcart=debug", true)] {
        for format in ["json", "human"] {
            let setup = Setup::new(1).facade_options(&["--access-log", format]);
            let store = setup.facade_environment("SHARDCART_LOG", level).start();
            store.client().get("/items/alice?for=bob").expect(200);
            store.kv_client().get("/carol").expect(404);
            let log = eventually("both lines are written", || {
                Some(store.facade.access_log()).filter(|log| log.matches('\n').count() == 2)
            });
            for target in ["/items/alice?for=bob", "/carol"] {
                assert_eq!(log.contains(target), is_shown, "{level}: {log}");
            }
            assert_eq!(["alice", "bob", "carol"].iter().any(|id| log.contains(id)), is_shown, "{level}: {log}");
        }
    }
}

#[test]
fn a_log_that_nobody_takes_delays_no_answer_and_is_counted() {
    let mut store = Setup::new(1).facade_options(&["--access-log", "json"]).start();
    let path = store.facade.data().join("access.log");
    store.client().get("/livez").expect(200);
    eventually("the log is written to", || (!store.facade.access_log().is_empty()).then_some(()));
    // A pipe that nobody reads, in the place of the file: opening it never ends.
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut connection = Connection::open(store.facade.http[0]).unwrap();
    let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {}\r\n\r\n", "x".repeat(128));
    let pipeline = request.repeat(1_000);
    eventually("lines are dropped and counted", || {
        connection.send(pipeline.as_bytes()).unwrap();
        for _ in 0..1_000 {
            connection.receive("GET").unwrap().expect(200);
        }
        let metrics = store.client().get("/metrics").expect(200).text();
        let dropped = metrics.lines().find_map(|line| line.strip_prefix("shardcart_log_dropped_total ")?.parse().ok());
        (dropped.unwrap_or(0_u64) > 0).then_some(())
    });
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    assert!(store.facade.process.terminate().success(), "the end does not wait for the log");
}

#[test]
fn the_log_is_rotated_at_its_size() {
    let store = Setup::new(1).facade_options(&["--access-log", "json", "--access-log-size", "1MiB"]).start();
    let old = store.facade.data().join("access.log.1");
    let mut connection = Connection::open(store.facade.http[0]).unwrap();
    let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {}\r\n\r\n", "x".repeat(128));
    let pipeline = request.repeat(1_000);
    eventually("the log is rotated", || {
        connection.send(pipeline.as_bytes()).unwrap();
        for _ in 0..1_000 {
            connection.receive("GET").unwrap().expect(200);
        }
        old.exists().then_some(())
    });
    let size = fs::metadata(&old).unwrap().len();
    assert!((512 << 10..=1 << 20).contains(&size), "{size}");
    assert!(fs::read_to_string(&old).unwrap().ends_with("}\n"), "a line is not split over two files");
}
