//! Connections as raw bytes: malformed HTTP, slow clients, pipelined requests, too many connections.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::harness::http::Connection;
use crate::harness::{Answer, DEADLINE, Setup, Store, eventually, fresh_metrics, offer};

fn connect(store: &Store) -> Connection {
    Connection::open(store.facade.http[0]).expect("the facade listens")
}

/// Sends raw bytes and reads one answer.
fn exchange(store: &Store, bytes: &[u8]) -> Answer {
    let mut connection = connect(store);
    connection.send(bytes).expect("the request is taken");
    connection.receive("GET").unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn addition(item: &str) -> String {
    let body = offer("1", 1);
    format!(
        "POST /item/alice/{item} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn malformed_http_gets_a_problem_too() {
    let store = Setup::new(1).start();
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
    let before = store.client().get("/items/alice").text();
    let long_header = format!("DELETE /items/alice HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many_headers = format!("DELETE /items/alice HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(200));
    let mut wrong = Vec::new();
    for (bytes, status) in [
        (&b"DELETE /items/alice\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], 400),
        (b"DELETE /items/alice b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"DELETE items/alice HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"DELETE /items/alice HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", 400),
        (b"DELETE /items/alice HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"DELETE /items/alice HTTP/1.1\r\nHost : test\r\n\r\n", 400),
        (b"DELETE /items/alice HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /item/alice/tea HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (long_header.as_bytes(), 431),
        (many_headers.as_bytes(), 431),
    ] {
        let answer = exchange(&store, bytes);
        if answer.status == status {
            answer.expect_problem(status, "");
        } else {
            wrong.push(format!("{}: {answer:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)])));
        }
    }
    assert_eq!(store.client().get("/items/alice").text(), before);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let metrics = fresh_metrics(&mut store.client());
    let counted = "shardcart_http_requests_total{route=\"other\",method=\"other\",status=\"4xx\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(counted)).expect("they are counted");
    assert!(count.parse::<usize>().expect("a number") >= 10, "{count}");
}

#[test]
fn the_facade_survives_any_target() {
    let store = Setup::new(1).start();
    for (method, target, class) in [
        ("CONNECT", "test:1", 4),
        ("CONNECT", "/items/alice", 4),
        ("GET", "test:1", 4),
        ("GET", "http://test", 2),
        ("GET", "http://test?query", 2),
        ("OPTIONS", "*", 4),
        ("GET", "*", 4),
        ("GET", "//", 4),
        ("GET", "/?", 2),
    ] {
        let answer = exchange(&store, format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert_eq!(answer.status / 100, class, "{method} {target}: {answer:?}");
        store.client().get("/items/alice").expect(200);
    }
    exchange(&store, b"GET http://test/items/alice HTTP/1.1\r\nHost: localhost\r\n\r\n").expect(200);
}

#[test]
fn a_head_that_never_ends_is_given_up_and_others_are_served_meanwhile() {
    let store = Setup::new(1).facade_options(&["--header-timeout-ms", "500"]).start();
    let halves =
        [&b""[..], b"G", b"GET /items/alice HTTP/1.1\r\nHost: te", b"GET /items/alice HTTP/1.1\r\nHost: localhost\r\n"];
    let half_sent = halves.map(|bytes| {
        let mut connection = connect(&store);
        connection.send(bytes).expect("the half is taken");
        connection
    });
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
    for mut connection in half_sent {
        let rest = connection.read_to_end().expect("the server closes the connection");
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
        store.client().get("/items/alice").expect(200);
    }
}

#[test]
fn a_body_that_never_ends_is_given_up() {
    let store = Setup::new(1).facade_options(&["--body-timeout-ms", "500"]).start();
    for rest in ["Content-Length: 100\r\n\r\n{\"offeredPrice\":1,", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"off"] {
        let head = "POST /item/alice/tea HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        let mut connection = connect(&store);
        connection.send(format!("{head}{rest}").as_bytes()).expect("the half is taken");
        store.client().get("/items/alice").expect(200);
        connection.receive("POST").expect("an answer").expect_problem(408, "");
        assert_eq!(connection.read_to_end().expect("the server closes the connection"), b"");
    }
    assert_eq!(store.client().get("/items/alice").expect(200).version(), 0);
}

#[test]
fn a_client_that_goes_away_in_the_middle_changes_nothing() {
    let store = Setup::new(1).start();
    let request = addition("tea");
    for length in [1, 30, request.len() - 1] {
        connect(&store).send(&request.as_bytes()[..length]).expect("the part is taken");
    }
    store.client().get("/livez").expect(200);
    assert_eq!(store.client().get("/items/alice").expect(200).version(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    const REQUESTS: usize = 40;
    let store = Setup::new(2).start();
    let mut connection = connect(&store);
    let requests: String = (0..REQUESTS)
        .map(|number| match number % 4 {
            3 => format!("GET /none/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            _ => addition(&format!("i{number}")),
        })
        .collect();
    connection.send(requests.as_bytes()).expect("the requests are taken");
    let mut lines = 0;
    for number in 0..REQUESTS {
        let answer = connection.receive("POST").expect("an answer");
        if number % 4 == 3 {
            answer.expect_problem(404, "");
        } else {
            lines += 1;
            assert_eq!(answer.expect(201).json()["itemTotal"], lines);
        }
    }
}

#[test]
fn a_client_that_has_closed_its_sending_half_is_answered() {
    let store = Setup::new(1).start();
    let mut connection = connect(&store);
    connection.send(addition("tea").as_bytes()).expect("the request is taken");
    connection.another_end().expect("a handle").shutdown(Shutdown::Write).expect("it can be closed");
    connection.receive("POST").expect("an answer").expect(201);
    assert_eq!(connection.read_to_end().expect("the server closes the connection"), b"");
}

#[test]
fn what_cannot_be_done_as_it_was_asked_is_refused() {
    let store = Setup::new(1).start();
    let mut wrong = Vec::new();
    for (target, head, status, mentions) in [
        ("/item/alice/tea", "", 400, "Host: is missing"),
        ("/item/alice/tea", "Host: localhost\r\nHost: localhost\r\n", 400, "Host: must be given once"),
        ("/item/alice/tea", "Host: a b\r\n", 400, "Host: is no host name"),
        ("/item/alice/tea", "Host: test/\r\n", 400, "Host: is no host name"),
        ("/item/alice/tea#x", "Host: localhost\r\n", 400, "target: has a #"),
        ("/item/alice/tea#", "Host: localhost\r\n", 400, "target: has a #"),
        ("/item/alice/tea?a=b#x", "Host: localhost\r\n", 400, "target: has a #"),
        ("/item/alice/tea", "Host: localhost\r\nContent-Encoding: gzip\r\n", 415, "Content-Encoding"),
        ("/item/alice/tea", "Host: localhost\r\nContent-Range: bytes 0-1/2\r\n", 400, "Content-Range"),
        ("/item/alice/tea", "Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n", 501, "Transfer-Encoding"),
    ] {
        let body = offer("1", 1);
        let (length, sent) = match head.contains("chunked") {
            true => (String::new(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
            false => (format!("Content-Length: {}\r\n", body.len()), body),
        };
        let request = format!("POST {target} HTTP/1.1\r\n{head}Content-Type: application/json\r\n{length}\r\n{sent}");
        let answer = exchange(&store, request.as_bytes());
        if answer.status != status || !answer.text().contains(mentions) {
            wrong.push(format!("{target} {head:?}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(store.client().get("/items/alice").expect(200).version(), 0);
    let mut client = store.client();
    let mut connection = connect(&store);
    let chunked = "PUT /kv/list HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: , chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    connection.send(chunked.as_bytes()).expect("the request is taken");
    connection.receive("PUT").expect("an answer").expect(201);
    let identity = client.call("POST", "/item/alice/tea%23").header("Content-Encoding", "identity");
    let cart = identity.json(&offer("1", 1)).send().expect(201).json();
    assert_eq!(cart["items"][0]["itemId"], "tea#");
    client.call("PUT", "/kv/key").body("POST /item/alice/tea#x HTTP/1.0").send().expect(201);
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
}

#[test]
fn a_refused_request_is_not_told_to_continue() {
    let store = Setup::new(1).start();
    let of_json = "HTTP/1.1\r\nContent-Length: 100\r\nContent-Type: application/json\r\n";
    for (head, status) in [
        ("POST /api/orders HTTP/1.1\r\nContent-Length: 100\r\n", 401),
        ("POST /item/alice/tea HTTP/1.1\r\nContent-Length: 100000\r\n", 413),
        ("POST /item/alice/tea HTTP/1.1\r\nContent-Length: 100\r\nContent-Encoding: br\r\n", 415),
        ("PUT /nosuch HTTP/1.1\r\nContent-Length: 100\r\n", 404),
        ("PATCH /api/delivery/none HTTP/1.1\r\nContent-Length: 100\r\nX-API-Key: secret123\r\n", 404),
        ("PATCH /items/a HTTP/1.1\r\nContent-Length: 100\r\n", 405),
        ("POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 405),
        ("POST /item/a/b HTTP/1.1\r\nContent-Length: 100\r\nContent-Type: text/plain\r\n", 415),
        ("POST /checkout/a HTTP/1.1\r\nContent-Length: 100\r\n", 415),
        ("PUT /kv/!! HTTP/1.1\r\nContent-Length: 100\r\n", 400),
        ("POST /item/a%00/b HTTP/1.1\r\nContent-Length: 100\r\nContent-Type: application/json\r\n", 400),
        ("POST /api/orders HTTP/1.1\r\nContent-Length: 100\r\nX-API-Key: secret123\r\nIf-Match: *\r\n", 400),
        (&format!("PUT /item/a/b {of_json}Idempotency-Key:\r\n"), 400),
        (&format!("PUT /item/a/b {of_json}If-Match: 1\r\n"), 400),
        (&format!("PUT /item/a/b {of_json}If-None-Match: \"1\"\r\n"), 400),
        ("PUT /kv/a HTTP/1.1\r\nContent-Length: 100\r\nIdempotency-Key:\r\n", 400),
    ] {
        let mut connection = connect(&store);
        let request = format!("{head}Host: localhost\r\nExpect: 100-continue\r\n\r\n");
        connection.send(request.as_bytes()).expect("the head is taken");
        assert_eq!(connection.read_interim().expect("an answer"), status, "{head}");
    }
    for head in [
        "PUT /kv/a HTTP/1.1\r\nContent-Length: 100\r\nIdempotency-Key: a\r\nIf-None-Match: *\r\n",
        "GET /items/a HTTP/1.1\r\nContent-Length: 100\r\n",
        &format!("POST /checkout/a {of_json}"),
        &format!("PUT /item/a/b {of_json}If-Match: \"1\"\r\n"),
    ] {
        let mut connection = connect(&store);
        let request = format!("{head}Host: localhost\r\nExpect: 100-continue\r\n\r\n");
        connection.send(request.as_bytes()).expect("the head is taken");
        assert_eq!(connection.read_interim().expect("an answer"), 100, "{head}");
    }
    let metrics = fresh_metrics(&mut store.client());
    let refused = "shardcart_http_requests_total{route=\"/api/orders\",method=\"POST\",status=\"4xx\"} 2";
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
}

/// A value that looks like the errors of the HTTP library itself must reach a client that reads slowly as it is.
#[test]
fn a_value_that_looks_like_an_answer_is_only_a_value() {
    const REQUESTS: usize = 1_000;
    const RECEIVE_BUFFER_BYTES: usize = 4_096;
    let store = Setup::new(1).start();
    let value = "HTTP/1.1 400 \r\ncontent-length: 0\r\n\r\n".repeat(26);
    store.client().call("PUT", "/kv/hostile").body(value.clone()).send().expect(201);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a small buffer");
    socket.connect(&store.facade.http[0].into()).expect("the facade listens");
    let mut connection = Connection::of(socket.into()).expect("a connection");
    let mut sender = connection.another_end().expect("a second handle");
    let requests = "GET /kv/hostile HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(REQUESTS) + "nonsense\r\n\r\n";
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(requests.as_bytes()).expect("the requests are taken"));
        for number in 0..REQUESTS {
            let answer = connection.receive("GET").unwrap_or_else(|error| panic!("answer {number}: {error}"));
            assert_eq!((answer.status, answer.text()), (200, value.clone()), "answer {number}");
        }
        connection.receive("GET").expect("an answer to nonsense").expect_problem(400, "");
    });
}

#[test]
fn an_answer_to_a_refused_body_leaves_the_connection_in_step() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for _ in 0..3 {
        client.call("POST", "/none").json(&offer("1", 1)).send().expect_problem(404, "");
        client.call("GET", "/items/alice").body("a body where none is asked for").send().expect(200);
        client.call("POST", "/item/alice/tea").body("{").chunked().send().expect_problem(415, "");
        client.get("/livez").expect(200);
    }
    assert_eq!(client.get("/items/alice").expect(200).version(), 0);
}

#[test]
fn http_1_0_and_expect_100_are_served() {
    let store = Setup::new(1).start();
    let mut connection = connect(&store);
    connection.send(b"GET /items/alice HTTP/1.0\r\n\r\n").expect("the request is taken");
    let text = String::from_utf8(connection.read_to_end().expect("the server closes the connection")).expect("text");
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{text}");
    let (head, body) = {
        let request = addition("tea").replace("Host: localhost", "Host: localhost\r\nExpect: 100-continue");
        let at = request.find("\r\n\r\n").expect("a head ends") + 4;
        (request[..at].to_owned(), request[at..].to_owned())
    };
    let mut connection = connect(&store);
    connection.send(head.as_bytes()).expect("the head is taken");
    assert_eq!(connection.read_interim().expect("it may go on"), 100);
    connection.send(body.as_bytes()).expect("the body is taken");
    connection.receive("POST").expect("an answer").expect(201);
}

#[test]
fn connections_past_the_limit_wait_for_a_place() {
    const CONNECTIONS: usize = 12;
    let store = Setup::new(1).facade_options(&["--max-connections", "4"]).start();
    let address = store.facade.http[0];
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut connection = Connection::open(address).expect("it is held by the operating system at least");
                connection.send(addition(&format!("i{number}")).as_bytes()).expect("the request is taken");
                connection.receive("POST").expect("an answer").expect(201);
            });
        }
    });
    assert_eq!(store.client().get("/items/alice").expect(200).json()["itemTotal"], CONNECTIONS);
}

#[test]
fn all_workers_share_one_limit_on_connections() {
    const LIMIT: usize = 4;
    const SHORT: Duration = Duration::from_millis(200);
    let store = Setup::new(1).facade_options(&["--max-connections", "4"]).start();
    let ask = |connection: &mut Connection| {
        connection.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the request is taken");
    };
    // The system chooses a worker for each connection, so that they are never shared out evenly for long.
    for _ in 0..4 {
        let mut served: Vec<_> = (0..LIMIT).map(|_| connect(&store)).collect();
        for connection in &mut served {
            ask(connection);
            connection.receive("GET").expect("an answer").expect(200);
        }
        let mut waiting = connect(&store);
        ask(&mut waiting);
        waiting.another_end().expect("a handle").set_read_timeout(Some(SHORT)).expect("a timeout");
        assert!(waiting.receive("GET").is_err(), "it has no place");
        waiting.another_end().expect("a handle").set_read_timeout(Some(DEADLINE)).expect("a timeout");
        served.pop();
        waiting.receive("GET").expect("an answer").expect(200);
    }
}

#[test]
fn connections_leave_descriptors_for_all_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let shard = "shard --index 0 --shards 1 --listen 127.0.0.1:0 --log-size 32MiB --payment http://127.0.0.1:1 --data";
    for (arguments, limit, possible) in [
        ("facade --shards unix:/none --http 127.0.0.1:0 --workers 1 --data", 200, 52),
        (shard, 600, 104),
        ("gateway --listen 127.0.0.1:0 --data", 200, 8),
    ] {
        let script = format!("set -e; ulimit -Sn 150; ulimit -Hn {limit}; exec \"$0\" {arguments} \"$1\"");
        let role = arguments.split(' ').next().expect("a role");
        let mut child = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_shardcart")])
            .arg(directory.path().join(role))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash can be started");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut ready).expect("it is ready");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("limits");
        child.kill().expect("it runs");
        let said = String::from_utf8(child.wait_with_output().expect("it ends").stderr).expect("text");
        let warning = said.lines().find(|line| line.contains("leaves fewer connections")).expect("a warning");
        assert!(warning.contains(&format!("possible={possible} limit={limit}")), "{warning}");
        let open_files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
        assert_eq!(open_files.split_whitespace().nth(3), Some(&*limit.to_string()), "{open_files}");
    }
}

#[test]
fn a_client_that_takes_nothing_loses_its_connection() {
    let store = Setup::new(1).facade_options(&["--write-timeout-ms", "300"]).start();
    let mut greedy = connect(&store);
    // More than the buffers of both sides hold, and not read.
    let requests = b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100);
    eventually("the connection is cut", || greedy.send(&requests).is_err().then_some(()));
    store.client().get("/livez").expect(200);
}
