//! Targets with a `#`, told from bodies that look like them, however the bytes of a connection are cut.

use crate::harness::http::Connection;
use crate::harness::{Setup, Store, offer};

const READ: &str = "GET /items/alice HTTP/1.1\r\nHost: localhost\r\n\r\n";
const READ_WITH_HASH: &str = "GET /items/alice#x HTTP/1.1\r\nHost: localhost\r\n\r\n";
const PROBE: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn connect(store: &Store) -> Connection {
    Connection::open(store.facade.http[0]).expect("the facade listens")
}

fn send(connection: &mut Connection, text: &str) {
    connection.send(text.as_bytes()).expect("the bytes are taken");
}

#[track_caller]
fn expect(connection: &mut Connection, method: &str, status: u16) {
    let answer = connection.receive(method).expect("an answer").expect(status);
    if status == 400 {
        answer.expect_problem(400, "target: has a #");
    }
}

#[test]
fn a_body_that_looks_like_a_target_is_only_a_body() {
    let store = Setup::new(1).start();
    let text = "GET /items/alice#x HTTP/1.1\r\n";
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n|{:x};#\r\n{text}\r\n0\r\nT: #\r\n\r\n", text.len());
    let with_length = format!("Content-Length: {}\r\n\r\n|{text}", text.len());
    for head_and_body in [with_length, chunked] {
        let (head, body) = head_and_body.split_once('|').expect("both parts");
        let mut connection = connect(&store);
        // Its head alone has been read when it is told to go on.
        send(&mut connection, &format!("PUT /kv/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{head}"));
        assert_eq!(connection.read_interim().expect("it may go on"), 100);
        send(&mut connection, body);
        assert_eq!(connection.receive("PUT").expect("an answer").status / 100, 2);
        send(&mut connection, READ);
        expect(&mut connection, "GET", 200);
        send(&mut connection, READ_WITH_HASH);
        expect(&mut connection, "GET", 400);
        send(&mut connection, READ);
        expect(&mut connection, "GET", 200);
    }
}

#[test]
fn a_hash_is_found_in_a_head_that_ends_in_another_read() {
    let store = Setup::new(1).start();
    let mut connection = connect(&store);
    for at in 1..READ_WITH_HASH.len() {
        let (first, rest) = READ_WITH_HASH.split_at(at);
        // The answer to what is whole says that all of it was read.
        send(&mut connection, &format!("{PROBE}{first}"));
        expect(&mut connection, "GET", 200);
        send(&mut connection, rest);
        expect(&mut connection, "GET", 400);
    }
}

#[test]
fn a_hash_behind_a_body_is_found() {
    let store = Setup::new(1).start();
    let body = offer("1", 1);
    let head = "POST /item/alice/tea HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let mut connection = connect(&store);
    for (end, status) in [("", 201), ("\r\n", 200)] {
        send(
            &mut connection,
            &format!("{head}Content-Length: {}\r\n\r\n{body}{end}{READ_WITH_HASH}{READ}", body.len()),
        );
        expect(&mut connection, "POST", status);
        expect(&mut connection, "GET", 400);
        expect(&mut connection, "GET", 200);
    }
}
