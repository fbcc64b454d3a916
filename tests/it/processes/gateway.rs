//! The simulated payment gateway as a process: what it said is still so after a crash, and a tester can make it slow,
//! refuse, or be away.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;
use shardcart::process::descriptors;

use crate::harness::launcher::{ANY_PORT, Launcher, SHARDS, refusal};
use crate::harness::shop::{CARD, Stock, insist, make_book, order, order_of, place, settled};
use crate::harness::simulated::ask;
use crate::harness::{Client, DEADLINE, Setup, Simulated, all_at_once, eventually};

const ORDERS: u32 = 24;
const STOCK: u64 = 100;

fn read_until(connection: &mut UnixStream, end: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    while !answer.ends_with(end) {
        let mut byte = [0];
        let length = connection.read(&mut byte).unwrap();
        assert!(length > 0, "it broke off: {answer:?}");
        answer.extend_from_slice(&byte);
    }
    answer
}

fn counts(gateway: &Simulated) -> [u64; 4] {
    let (_, counts) = gateway.ask("GET", "/payments", "");
    ["authorised", "captured", "refused", "voided"].map(|state| counts[state].as_u64().unwrap())
}

#[test]
fn a_gateway_that_is_killed_in_the_middle_knows_what_it_said_and_nobody_pays_twice() {
    let mut store = Setup::new(2).durable().start();
    let book = store.customer_on(0, "978-");
    make_book(&mut store.client(), &book, STOCK);
    let mut gateway = store.gateway.take().unwrap();
    // Answers are late, so that the kill loses some of what was authorised or captured.
    gateway.control(r#"{"delay_ms":300}"#);
    let created = thread::scope(|scope| {
        let orders = scope.spawn(|| {
            all_at_once(&store, ORDERS, |number, mut client| {
                let body = order_of(&format!("customer-{number}"), &[&book], CARD);
                let created = insist(&mut client, &format!("key-{number}"), &body).expect(201);
                created.json()["order_id"].as_str().unwrap().to_owned()
            })
        });
        eventually("payments are under way", || (counts(&gateway)[0] > 0).then_some(()));
        gateway.kill();
        gateway.start_again();
        orders.join().unwrap()
    });
    let all_captured = [0, u64::from(ORDERS), 0, 0];
    eventually("every order is captured", || {
        let [authorised, captured, refused, _] = counts(&gateway);
        ([authorised, captured, refused] == all_captured[..3]).then_some(())
    });
    for id in &created {
        let (status, payment) = gateway.ask("GET", &format!("/payments/{id}"), "");
        assert_eq!((status, &payment["status"]), (200, &json!("captured")), "{id}");
        eventually("the order says so", || {
            (order(&mut store.client(), id)["payment_status"] == "captured").then_some(())
        });
    }
    let sold = u64::from(ORDERS);
    assert_eq!(settled(&store, &[&book]), [Stock { stock: STOCK - sold, held: 0, sold, received: STOCK }]);
    // An order that it never saw is not known.
    let (status, _) = gateway.ask("GET", "/payments/01908e5c-0000-8000-8000-000000000000", "");
    assert_eq!(status, 404);
}

#[test]
fn a_tester_can_make_it_slow_refuse_or_be_away() {
    let mut store = Setup::new(1).start();
    let book = store.customer_on(0, "978-");
    let mut client = store.client();
    make_book(&mut client, &book, STOCK);
    let gateway = store.gateway.take().unwrap();
    let body = order_of("alice", &[&book], CARD);
    gateway.control(r#"{"refuse":true}"#);
    place(&mut client, "refused", &body).expect_problem(402, "declined");
    gateway.control(r#"{"delay_ms":400}"#);
    let since = Instant::now();
    place(&mut client, "slow", &body).expect(201);
    assert!(since.elapsed() >= Duration::from_millis(400));
    gateway.control(r#"{"away":true}"#);
    let (mut other, asked) = (store.client(), body.clone());
    let waiting = thread::spawn(move || place(&mut other, "away", &asked));
    eventually("it is held", || (crate::harness::shop::stock_of(&mut client, &book).held == 1).then_some(()));
    gateway.control("{}");
    waiting.join().unwrap().expect(201);
    let (status, control) = gateway.ask("GET", "/control", "");
    assert_eq!((status, control), (200, json!({"delay_ms": 0, "refuse": false, "away": false})));
    for (method, path, body, expected) in [
        ("PUT", "/control", r#"{"delay_ms":-1}"#, 400),
        ("POST", "/control", "", 405),
        ("PUT", "/payments/1", "{}", 400),
        ("PUT", "/payments/01908e5c-0000-8000-8000-000000000000", "{}", 400),
        ("DELETE", "/payments/01908e5c-0000-8000-8000-000000000000", "", 405),
        ("POST", "/payments/01908e5c-0000-8000-8000-000000000000/refund", "", 404),
        ("GET", "/", "", 404),
    ] {
        let (status, answer) = gateway.ask(method, path, body);
        assert!(status == expected && answer["reason"].is_string(), "{method} {path}: {status} {answer}");
    }
}

#[test]
fn connections_past_its_limit_wait_until_another_ends() {
    const MAX_CONNECTIONS: usize = 800;
    const ROUNDS: usize = 20;
    const REQUEST: &[u8] = b"GET /control HTTP/1.1\r\nHost: gateway\r\n\r\n";
    let exchange = |connection: &mut UnixStream| {
        connection.write_all(REQUEST).unwrap();
        let answer = read_until(connection, b"}");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    };
    descriptors::raise_limit();
    let directory = tempfile::tempdir().unwrap();
    let gateway = Simulated::start(directory.path());
    let connect = || UnixStream::connect(directory.path().join("gateway/sock")).unwrap();
    let mut open: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connect()).collect();
    open.iter_mut().for_each(exchange);
    let mut waiting = connect();
    waiting.write_all(REQUEST).unwrap();
    // A connection that had a place would be answered long before the last of these.
    open.iter_mut().take(ROUNDS).for_each(exchange);
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    waiting.set_nonblocking(false).unwrap();
    open.pop();
    assert_eq!(waiting.read(&mut [0; 1]).unwrap(), 1);
    drop((open, waiting));
    assert_eq!(gateway.ask("GET", "/control", "").0, 200);
}

#[test]
fn heads_and_bodies_past_their_limits_are_refused_and_other_connections_go_on() {
    const MAX_HEAD_BYTES: usize = 16 << 10;
    const MAX_BODY_BYTES: usize = 4 << 10;
    let directory = tempfile::tempdir().unwrap();
    let gateway = Simulated::start(directory.path());
    let mut neighbour = UnixStream::connect(gateway.socket()).unwrap();
    for (head_bytes, body_bytes, status) in [
        (MAX_HEAD_BYTES - 1, 0, "400"),
        (MAX_HEAD_BYTES + 1, 0, "431"),
        (200, MAX_BODY_BYTES, "200"),
        (200, MAX_BODY_BYTES + 1, "413"),
    ] {
        let line = format!("PUT /control HTTP/1.1\r\nHost: gateway\r\nContent-Length: {body_bytes}\r\nX: ");
        let head = format!("{line}{}\r\n\r\n", "x".repeat(head_bytes - line.len() - 4));
        let body = if body_bytes == 0 { String::new() } else { format!("{{{}}}", " ".repeat(body_bytes - 2)) };
        let mut connection = UnixStream::connect(gateway.socket()).unwrap();
        // One that has read enough may close the connection before it has everything.
        let _ = connection.write_all((head + &body).as_bytes());
        let answer = read_until(&mut connection, b"\r\n\r\n");
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{answer:?}");
        neighbour.write_all(b"GET /control HTTP/1.1\r\nHost: gateway\r\n\r\n").unwrap();
        assert!(read_until(&mut neighbour, b"}").starts_with(b"HTTP/1.1 200"));
    }
}

/// A client that never finishes its body would keep its connection otherwise.
#[test]
fn a_body_that_never_ends_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let _gateway = Simulated::start(directory.path());
    let mut slow = UnixStream::connect(directory.path().join("gateway/sock")).unwrap();
    slow.write_all(b"PUT /control HTTP/1.1\r\nHost: gateway\r\nContent-Length: 10\r\n\r\n{").unwrap();
    slow.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn the_launcher_restarts_it_but_not_without_its_memory() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--shards", SHARDS, "--kv", ANY_PORT, "--http", ANY_PORT];
    let mut launcher = Launcher::start(directory.path());
    let buy = |launcher: &Launcher| {
        let body = json!({"id": 1, "quantity": 1, "card": CARD}).to_string();
        Client::new(launcher.shop()).put("/buy", &body).expect(200).json()["order_id"].as_str().unwrap().to_owned()
    };
    let first = buy(&launcher);
    let killed = launcher.child(" gateway ");
    kill_process(killed, Signal::KILL).unwrap();
    buy(&launcher);
    assert_ne!(launcher.child(" gateway "), killed);
    let data = directory.path().join("data/gateway");
    let (status, _) = ask(&data.join("sock"), "GET", &format!("/payments/{first}"), "");
    assert_eq!(status, 200);
    // Under a running store its memory goes away: first the directory, then what is in it.
    let (payments, away) = (data.join("payments"), data.join("away"));
    let is_missing = |log: &str| log.contains("the payments of the simulated gateway are missing");
    for is_emptied in [false, true] {
        let before = launcher.log().len();
        fs::rename(&payments, &away).unwrap();
        if is_emptied {
            fs::create_dir(&payments).unwrap();
        }
        // An error means that it has ended by itself: it was asked for a capture meanwhile.
        let _ = kill_process(launcher.child(" gateway "), Signal::KILL);
        eventually("it refuses to start", || is_missing(&launcher.log()[before..]).then_some(()));
        if is_emptied {
            fs::remove_dir(&payments).unwrap();
        }
        fs::rename(&away, &payments).unwrap();
        buy(&launcher);
    }
    launcher.signal(Signal::TERM);
    launcher.wait();
    // And under one that starts.
    for is_emptied in [true, false] {
        fs::remove_dir_all(&payments).unwrap();
        if is_emptied {
            fs::create_dir(&payments).unwrap();
        }
        let said = refusal(directory.path(), &options, 1);
        assert!(is_missing(&said) && said.contains("gateway could not be started"), "{said}");
        assert_eq!(Path::new(&payments).exists(), is_emptied);
    }
}

#[test]
fn a_gateway_whose_payments_are_removed_under_it_says_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = Simulated::start(directory.path());
    let body = json!({"amount": "1.00", "card_number": CARD}).to_string();
    assert_eq!(gateway.ask("PUT", "/payments/01908e5c-0000-8000-8000-000000000000", &body).0, 200);
    fs::remove_dir_all(directory.path().join("gateway/payments")).unwrap();
    let mut stream = UnixStream::connect(gateway.socket()).unwrap();
    let head = "PUT /payments/01908e5c-0000-8000-8000-000000000001 HTTP/1.1\r\nHost: gateway\r\n";
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    let mut answer = Vec::new();
    // An error is a connection that was cut, which is no answer either.
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(String::from_utf8(answer).unwrap(), "");
    let log = gateway.wait();
    assert!(log.contains("the payments were removed while the gateway ran"), "{log}");
}
