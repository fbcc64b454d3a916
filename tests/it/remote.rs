//! The client of our own programs: what it repeats, what it never repeats, and what it says when the outcome is open.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use shardcart::access::Secret;
use shardcart::remote::{Answer, Client, Failure, IdempotencyKey, Outcome, Path, Request};
use socket2::{Domain, Socket, Type};

use crate::harness::proxy::Mode;
use crate::harness::scripted::{answer, problem};
use crate::harness::{DEADLINE, Proxy, Scripted, Setup, eventually, offer};

const LONG: Duration = DEADLINE;
/// Long enough for an attempt on a busy machine, and short enough to wait for its end.
const SHORT: Duration = Duration::from_secs(2);

fn client(url: &str) -> Client {
    let key = Secret::new("a-key-of-a-test").unwrap();
    Client::new(url.parse().unwrap(), Some(&key)).unwrap()
}

fn send(client: &Client, request: &Request, timeout: Duration) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client.send(request, timeout))
}

fn get(segments: &[&str]) -> Request {
    Request::get(Path::of(segments).unwrap())
}

fn add(item: &str) -> Request {
    let path = Path::of(&["item", "alice", item]).unwrap();
    Request::keyed(Method::POST, path, IdempotencyKey::random()).with_json(offer("1.00", 2))
}

fn delete_value(key: &str) -> Request {
    Request::once(Method::DELETE, Path::of(&["kv", key]).unwrap())
}

/// Sends a request, and cuts its connection once the store has answered it; from then on everything passes.
fn send_losing_the_first_answer(
    proxy: &Proxy,
    client: &Client,
    request: &Request,
    timeout: Duration,
) -> Result<Answer, Failure> {
    proxy.set(Mode::HoldReplies);
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(client, request, timeout));
        eventually("the store has answered", || proxy.holds_anything().then_some(()));
        proxy.cut(Mode::Pass);
        sending.join().unwrap()
    })
}

#[test]
fn a_keyed_write_whose_answer_is_lost_is_repeated_and_applied_once() {
    let store = Setup::new(2).start();
    let proxy = Proxy::start(&store.facade.http[0].to_string());
    let client = client(&format!("http://{}", proxy.address()));
    let answer = send_losing_the_first_answer(&proxy, &client, &add("apple"), LONG).unwrap();
    assert!(answer.attempts > 1 && answer.is_replayed(), "{answer:?}");
    assert_eq!(answer.json::<Value>().unwrap()["itemTotal"], 2);
    let cart = send(&client, &get(&["items", "alice"]), LONG).unwrap();
    assert_eq!((cart.json::<Value>().unwrap()["itemTotal"].as_u64(), cart.etag()), (Some(2), answer.etag()));
}

#[test]
fn a_write_without_a_key_is_not_repeated_once_it_may_have_been_applied() {
    let store = Setup::new(1).start();
    let mut shop = store.client();
    let proxy = Proxy::start(&store.facade.http[0].to_string());
    let client = client(&format!("http://{}", proxy.address()));
    shop.put("/kv/a", "value").expect(201);
    let failure = send_losing_the_first_answer(&proxy, &client, &delete_value("a"), LONG).unwrap_err();
    assert_eq!((failure.outcome, failure.status, failure.attempts), (Outcome::Unknown, None, 1), "{failure}");
    shop.get("/kv/a").expect(404);
    // Reads, and writes whose effect is the same, are.
    let put = Request::repeatable(Method::PUT, Path::of(&["kv", "a"]).unwrap()).with_bytes("again");
    for (request, status) in [(put, 200), (get(&["kv", "a"]), 200)] {
        let answer = send_losing_the_first_answer(&proxy, &client, &request, LONG).unwrap();
        assert!(answer.attempts > 1 && answer.status == status, "{answer:?}");
    }
    shop.get("/kv/a").expect(200);
}

#[test]
fn what_was_not_applied_is_repeated_until_the_store_can_take_it() {
    let mut store = Setup::new(1).durable().start();
    let client = client(&format!("http://{}", store.facade.http[0]));
    store.shards[0].kill();
    let failure = send(&client, &delete_value("a"), SHORT).unwrap_err();
    assert_eq!((failure.outcome, failure.code.as_deref()), (Outcome::NotApplied, Some("unavailable")), "{failure}");
    assert!(failure.attempts > 1, "{failure}");
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&client, &add("apple"), LONG));
        store.start_shard(0);
        assert_eq!(sending.join().unwrap().unwrap().status, 201);
    });
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    // A socket that does not listen keeps the port, and refuses connections.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap().as_socket().unwrap());
    let failure = send(&client(&url), &delete_value("a"), SHORT).unwrap_err();
    assert_eq!((failure.outcome, failure.status), (Outcome::NotApplied, None), "{failure}");
    assert!(failure.detail.contains("cannot connect") && failure.attempts > 1, "{failure}");
}

#[test]
fn an_attempt_that_may_have_been_applied_keeps_the_outcome_open() {
    let unavailable = problem(503, "unavailable");
    let (gone, out_of_stock) = (problem(401, "unauthorized"), problem(409, "out_of_stock"));
    for (answers, outcome) in [
        // The later answers are about the later attempts only.
        (["", &unavailable], Outcome::Unknown),
        (["", &gone], Outcome::Unknown),
        // A store looks for the stored answer first, so this is the outcome of both.
        (["", &out_of_stock], Outcome::Conflict),
        ([&unavailable, &out_of_stock], Outcome::Conflict),
        ([&unavailable, &gone], Outcome::Denied),
    ] {
        let server = Scripted::start(&answers);
        let failure = send(&client(&server.url()), &add("apple"), SHORT).unwrap_err();
        assert_eq!(failure.outcome, outcome, "{answers:?}: {failure}");
        let requests = server.requests();
        let key =
            |request: &String| request.lines().find(|line| line.starts_with("idempotency-key")).map(str::to_owned);
        assert!(requests.len() > 1 && requests.iter().all(|request| key(request) == key(&requests[0])), "{requests:?}");
        assert!(key(&requests[0]).is_some());
    }
}

#[test]
fn only_a_store_can_say_that_nothing_was_applied() {
    for (answer, outcome) in [
        (answer(503, "content-type: text/html\r\n", "<h1>503</h1>"), Outcome::Unknown),
        (answer(502, "", ""), Outcome::Unknown),
        (problem(504, "outcome_unknown"), Outcome::Unknown),
        (problem(500, "internal"), Outcome::Unknown),
    ] {
        let server = Scripted::start(&[&answer]);
        let failure = send(&client(&server.url()), &delete_value("a"), LONG).unwrap_err();
        assert_eq!((failure.outcome, server.requests().len()), (outcome, 1), "{answer}");
    }
}

#[test]
fn the_store_says_how_long_to_wait() {
    let busy = |seconds: u64| {
        let body = r#"{"code":"too_many","detail":"too many keys"}"#;
        answer(429, &format!("content-type: application/problem+json\r\nretry-after: {seconds}\r\n"), body)
    };
    let fine = answer(200, "content-type: application/json\r\n", "{}");
    let server = Scripted::start(&[&busy(1), &fine]);
    let started = Instant::now();
    assert_eq!(send(&client(&server.url()), &add("apple"), LONG).unwrap().attempts, 2);
    assert!(started.elapsed() >= Duration::from_secs(1));
    // A pause that is longer than the time that is left is not begun, even one that no clock counts to.
    for seconds in [3_600, u64::MAX] {
        let server = Scripted::start(&[&busy(seconds)]);
        let failure = send(&client(&server.url()), &add("apple"), LONG).unwrap_err();
        assert_eq!((failure.outcome, failure.attempts), (Outcome::NotApplied, 1), "{failure}");
        assert_eq!(failure.retry_after, Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::start(&[&answer(200, "", "{}")]);
    let server = Scripted::start(&[&answer(307, &format!("location: {}/items/alice\r\n", elsewhere.url()), "")]);
    let failure = send(&client(&server.url()), &get(&["items", "alice"]), LONG).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Refused, "{failure}");
    assert!(failure.detail.contains(&elsewhere.url()), "{failure}");
    assert!(server.requests()[0].contains("x-api-key: a-key-of-a-test"));
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[test]
fn an_answer_without_an_end_is_given_up() {
    let endless = "HTTP/1.1 200 x\r\n\r\n".to_owned() + &"x".repeat(shardcart::remote::MAX_ANSWER_BYTES + 1);
    for (request, outcome) in [(get(&["items", "alice"]), Outcome::Refused), (add("apple"), Outcome::Unknown)] {
        let server = Scripted::start(&[&endless]);
        let failure = send(&client(&server.url()), &request, LONG).unwrap_err();
        assert_eq!((failure.outcome, failure.attempts), (outcome, 1), "{failure}");
        assert!(failure.detail.contains("longer than"), "{failure}");
    }
}
