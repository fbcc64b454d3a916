//! Web pages: which hosts are served, which pages may write, and what a page of an allowed origin gets.

use crate::harness::http::Connection;
use crate::harness::{Answer, Client, Setup, Store, offer};

const SHOP: &str = "https://shop.example";

/// Sends a request with these headers only.
fn ask(store: &Store, line: &str, headers: &str) -> Answer {
    let mut connection = Connection::open(store.facade.http[0]).expect("the facade listens");
    connection.send(format!("{line} HTTP/1.1\r\n{headers}\r\n").as_bytes()).expect("the request is taken");
    connection.receive(line.split(' ').next().unwrap_or_default()).expect("an answer")
}

fn purchase(client: &mut Client, headers: &[(&str, &str)]) -> Answer {
    let call = client.call("POST", "/purchase/2");
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send()
}

#[test]
fn without_keys_only_loopback_hosts_are_served() {
    let store = Setup::new(1).start();
    for line in ["GET /items/alice", "GET /livez", "DELETE /items/alice", "GET /api/orders/x"] {
        let answer = ask(&store, line, "Host: rebound.example:5000\r\nX-API-Key: secret123\r\n");
        let problem = answer.expect_problem(403, "Host").json();
        assert_eq!(problem["code"], "host_not_allowed", "{line}");
    }
    ask(&store, "GET /items/alice", "Host: 127.0.0.1:5000\r\n").expect(200);
    ask(&store, "GET /items/alice", "Host: [::1]\r\n").expect(200);
    let store = Setup::new(1).facade_environment("SHARDCART_API_KEY", "a-key-of-mine").start();
    ask(&store, "GET /items/alice", "Host: shop.example\r\n").expect(200);
}

#[test]
fn a_page_of_another_site_sells_nothing() {
    for setup in [Setup::new(1), Setup::new(1).facade_environment("SHARDCART_API_KEY", "a-key-of-mine")] {
        let store = setup.start();
        let mut client = store.client();
        let before = client.get("/info/2").expect(200).text();
        for headers in [
            &[("Sec-Fetch-Site", "cross-site")][..],
            &[("Origin", "https://evil.example")],
            &[("Origin", "null")],
            &[("Origin", SHOP), ("Sec-Fetch-Site", "cross-site")],
            &[("Origin", "http://localhost"), ("Sec-Fetch-Site", "cross-site")],
            &[("Origin", "http://localhost"), ("Origin", "https://evil.example")],
        ] {
            let problem = purchase(&mut client, headers).expect_problem(403, "Origin").json();
            assert_eq!(problem["code"], "cross_site", "{headers:?}");
        }
        assert_eq!(client.get("/info/2").expect(200).text(), before);
        let mut kv = store.kv_client();
        kv.call("PUT", "/key").header("Origin", SHOP).body("x").send().expect_problem(403, "Origin");
        let read = client.call("GET", "/info/2").header("Origin", SHOP).send().expect(200);
        assert_eq!(read.header("access-control-allow-origin"), None);
        assert_eq!(ask(&store, "OPTIONS /purchase/2", &preflight(SHOP)).header("access-control-allow-origin"), None);
        purchase(&mut client, &[("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")]).expect(201);
    }
}

fn preflight(origin: &str) -> String {
    format!(
        "Host: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,idempotency-key\r\n"
    )
}

#[test]
fn a_page_of_an_allowed_origin_reads_and_writes() {
    let options = ["--cors-origin", SHOP, "--cors-origin", "http://localhost:8080", "--require-key"];
    let store = Setup::new(1).facade_environment("SHARDCART_API_KEY", "a-key-of-mine").facade_options(&options).start();
    for origin in [SHOP, "http://localhost:8080"] {
        let answer = ask(&store, "OPTIONS /item/alice/tea", &preflight(origin)).expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
        let headers = answer.header("access-control-allow-headers").expect("headers").to_ascii_lowercase();
        assert!(
            ["content-type", "idempotency-key", "x-api-key"].iter().all(|name| headers.contains(name)),
            "{headers}"
        );
        let mut client = store.client();
        let add = |client: &mut Client, key: &str| {
            let call = client.call("POST", "/item/alice/tea").header("Origin", origin).header("X-API-Key", key);
            call.header("Sec-Fetch-Site", "cross-site").json(&offer("1", 1)).send()
        };
        for answer in [add(&mut client, "a-key-of-mine"), add(&mut client, "unknown").expect_problem(401, "")] {
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert!(answer.header("access-control-expose-headers").is_some_and(|names| names.contains("ETag")));
            assert!(answer.headers.contains(&("vary".to_owned(), "origin".to_owned())), "{answer:?}");
        }
    }
    let cart = store.client().call("GET", "/items/alice").header("X-API-Key", "a-key-of-mine").send().expect(200);
    assert_eq!(cart.json()["itemTotal"], 2);
    ask(&store, "OPTIONS /item/alice/tea", &preflight("https://evil.example")).expect_problem(403, "Origin");
}

#[test]
fn each_answer_says_what_may_be_kept_and_that_its_type_is_no_guess() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    let tag = client.get("/items/alice").etag();
    for (path, key, status, kept) in [
        ("/items/alice", None, 200, Some("private, no-cache")),
        ("/info/1", None, 200, None),
        ("/none", None, 404, None),
        ("/docs/", None, 200, None),
        ("/api/books", None, 401, Some("no-store")),
        ("/api/books", Some("secret123"), 200, Some("no-store")),
        ("/api/orders/x", Some("secret123"), 404, Some("no-store")),
    ] {
        let call = client.call("GET", path);
        let answer = key.into_iter().fold(call, |call, key| call.header("X-API-Key", key)).send().expect(status);
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let varies = answer.header("vary").is_some_and(|names| names.contains("x-api-key"));
        assert_eq!(varies, kept == Some("no-store"), "{path}");
    }
    let current = client.call("GET", "/items/alice").header("If-None-Match", &tag).send().expect(304);
    assert_eq!(current.header("cache-control"), Some("private, no-cache"));
    let nonsense = ask(&store, "non sense", "");
    assert_eq!(nonsense.expect(400).header("x-content-type-options"), Some("nosniff"));
    let store =
        Setup::new(1).facade_environment("SHARDCART_API_KEY", "a-key-of-mine").facade_options(&["--require-key"]);
    let store = store.start();
    let cart = store.client().call("GET", "/items/alice").header("X-API-Key", "a-key-of-mine").send().expect(200);
    assert_eq!(cart.header("cache-control"), Some("no-store"));
}
