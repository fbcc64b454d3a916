//! Execution ids: every answer of three paths carries one, errors included.

use std::collections::BTreeSet;

use crate::harness::http::Connection;
use crate::harness::{Setup, all_at_once};

const TOO_LARGE_BYTES: usize = 70_000;
const FAR_TOO_LARGE_BYTES: usize = 3 << 20;

#[test]
fn every_problem_of_the_three_paths_carries_one() {
    let store = Setup::new(1).facade_options(&["--body-timeout-ms", "200"]).start();
    let mut client = store.client();
    // A path that deep does not exist.
    for path in ["/find/a/b/c", "/buy/a/b/c", "/replenish/a/b/c"] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            client.call(method, path).send().expect_executed_problem(404, "no such path");
        }
    }
    for path in ["/find/1", "/buy", "/replenish/"] {
        let call = client.call("PUT", path).body(vec![b' '; TOO_LARGE_BYTES]);
        call.send().expect_executed_problem(413, "body");
        if let Ok(answer) = store.client().call("PUT", path).body(vec![b' '; FAR_TOO_LARGE_BYTES]).try_send() {
            answer.expect_executed_problem(413, "body");
        }
        let mut connection = Connection::open(store.facade.http[0]).unwrap();
        connection
            .send(format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{").as_bytes())
            .unwrap();
        connection.receive("PUT").unwrap().expect_executed_problem(408, "in time");
        let mut connection = Connection::open(store.facade.http[0]).unwrap();
        let chunked =
            format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n");
        connection.send(chunked.as_bytes()).unwrap();
        connection.receive("PUT").unwrap().expect_executed_problem(400, "body");
    }
}

#[test]
fn no_id_is_used_twice() {
    const CLIENTS: u32 = 4;
    const EACH: usize = 50;
    let store = Setup::new(1).start();
    let ids = all_at_once(&store, CLIENTS, |_, mut client| {
        let ids = (0..EACH).map(|_| client.get("/find/a/b/c").execution_id());
        ids.collect::<Vec<_>>()
    });
    let other = store.another_facade("other", &store.addresses());
    let others = (0..EACH).map(|_| other.client().get("/find/a/b/c").execution_id());
    let distinct: BTreeSet<_> = ids.into_iter().flatten().chain(others).collect();
    assert_eq!(distinct.len(), (CLIENTS as usize + 1) * EACH);
}

#[test]
fn other_paths_carry_none() {
    let store = Setup::new(1).start();
    for path in ["/none", "/kv/buy", "/findings/1"] {
        store.client().get(path).expect_problem(404, "");
    }
    // On the key-value port these are keys.
    for key in ["/buy", "/find", "/replenish"] {
        store.kv_client().get(key).expect_problem(404, "");
        store.kv_client().call("PUT", key).body(vec![b' '; TOO_LARGE_BYTES]).send().expect_problem(413, "body");
        let written = store.kv_client().call("PUT", key).body("x").send().expect(201);
        assert!(written.json().get("execution_id").is_none());
    }
}
