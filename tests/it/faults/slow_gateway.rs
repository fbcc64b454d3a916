//! A payment gateway that is away, silent or odd: customers have an answer in time, and whoever does not pay notices
//! nothing.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::shop::{CARD, insist, make_book, order, order_of, place, settled, stock_of};
use crate::harness::{
    Action, Answer, Client, Fault, Gateway, Setup, Simulated, Store, eventually, fresh_metrics, offer,
};

const STOCK: u64 = 20;
const MOST: usize = 3;

fn open(gateway: &Gateway) -> (Store, String) {
    let most = MOST.to_string();
    let options = ["--payment", &gateway.url(), "--max-unresolved-orders", &most];
    let store = Setup::new(1).durable().shard_options(&options).start();
    let book = store.customer_on(0, "978-");
    make_book(&mut store.client(), &book, STOCK);
    (store, book)
}

/// Places orders at the same time, and returns their answers.
fn place_at_once(store: &Store, book: &str, count: usize) -> Vec<Answer> {
    thread::scope(|scope| {
        let placing = |number: usize| {
            let (mut client, body) = (store.client(), order_of(&format!("c{number}"), &[book], CARD));
            scope.spawn(move || place(&mut client, &format!("k{number}"), &body))
        };
        let orders: Vec<_> = (0..count).map(placing).collect();
        orders.into_iter().map(|order| order.join().expect("it is answered")).collect()
    })
}

fn insist_on_all(store: &Store, book: &str, count: usize) {
    for number in 0..count {
        let body = order_of(&format!("c{number}"), &[book], CARD);
        insist(&mut store.client(), &format!("k{number}"), &body).expect(201);
    }
}

fn has_undecided(client: &mut Client, count: usize) -> bool {
    fresh_metrics(client).contains(&format!("shardcart_shard_undecided_orders{{shard=\"0\"}} {count}\n"))
}

/// Has the gateway keep all requests of a kind waiting until it is released.
fn hold(gateway: &Gateway, actions: &[Action]) {
    actions.iter().for_each(|action| (0..10_000).for_each(|_| gateway.plan(*action, Fault::Hold)));
}

#[test]
fn a_gateway_that_cannot_be_reached_refuses_orders_and_leaves_nothing_open() {
    let mut gateway = Gateway::start();
    let (store, book) = open(&gateway);
    gateway.stop();
    for answer in place_at_once(&store, &book, 2 * MOST) {
        let text = answer.expect_problem(503, "the payment gateway").text();
        assert!(text.contains("nothing was charged or applied"), "{text}");
    }
    let mut client = store.client();
    assert_eq!(stock_of(&mut client, &book).held, 0);
    assert!(has_undecided(&mut client, 0));
    gateway.start_again();
    insist_on_all(&store, &book, 2 * MOST);
}

#[test]
fn a_silent_gateway_leaves_a_limited_number_of_orders_undecided_and_troubles_nobody_else() {
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    hold(&gateway, &[Action::Authorise, Action::Lookup]);
    let mut client = store.client();
    thread::scope(|scope| {
        let orders = scope.spawn(|| place_at_once(&store, &book, 4 * MOST));
        // Callers that hang up leave nothing behind either.
        for _ in 0..MOST {
            let body = format!(r#"{{"id":"{book}","quantity":1,"card":"{CARD}"}}"#);
            let head = "PUT /buy HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
            let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let mut caller = TcpStream::connect(store.facade.http[0]).expect("the facade listens");
            caller.write_all(request.as_bytes()).expect("it takes the request");
        }
        while !orders.is_finished() {
            let added = client.post("/item/alice/tea", &offer("1", 1));
            let put = client.call("PUT", "/kv/key").body("value").send();
            let ready = client.get("/readyz?shards=1");
            assert!([&added, &put, &ready].iter().all(|answer| answer.status < 300), "{added:?} {put:?} {ready:?}");
        }
        let (unknown, refused): (Vec<_>, Vec<_>) =
            orders.join().expect("they are answered").into_iter().partition(|answer| answer.status == 504);
        assert!(unknown.len() <= MOST, "{} orders are undecided", unknown.len());
        for answer in unknown {
            assert!(answer.expect_problem(504, "not decided yet").text().contains("same Idempotency-Key"));
        }
        for answer in refused {
            answer.expect_problem(503, "applied");
        }
    });
    eventually("who waits for nothing is decided", || has_undecided(&mut client, MOST).then_some(()));
    let body = order_of("c99", &[&book], CARD);
    place(&mut client, "k99", &body).expect_problem(503, "the payment gateway has not answered about too many orders");
    client.put("/buy", &format!(r#"{{"id":"{book}","quantity":1,"card":"{CARD}"}}"#)).expect_executed_problem(503, "");
    client.post(&format!("/purchase/{book}"), "").expect(201);
    gateway.release();
    insist_on_all(&store, &book, 4 * MOST);
    insist(&mut client, "k99", &body).expect(201);
    assert_eq!(settled(&store, &[&book])[0].held, 0);
}

/// One that is slow and not silent gets all of them, some at a time.
#[test]
fn more_orders_than_may_be_undecided_are_paid() {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = Simulated::start(directory.path());
    gateway.control(r#"{"delay_ms":200}"#);
    let most = MOST.to_string();
    let options = ["--payment", &gateway.payment(), "--max-unresolved-orders", &most];
    let store = Setup::new(1).durable().shard_options(&options).start();
    let book = store.customer_on(0, "978-");
    make_book(&mut store.client(), &book, STOCK);
    place_at_once(&store, &book, 4 * MOST).into_iter().for_each(|answer| _ = answer.expect(201));
}

/// A payment that the gateway asks to be left alone is not looked up before; the customer does not wait for that.
#[test]
fn a_gateway_that_asks_for_time_is_not_asked_about_the_payment_before() {
    const PATIENCE: &str = "HTTP/1.1 429 X\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n";
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    gateway.plan(Action::Authorise, Fault::Say(PATIENCE));
    place(&mut store.client(), "k", &order_of("c", &[&book], CARD)).expect_problem(504, "not decided yet");
    assert_eq!(gateway.seen().len(), 1);
}

#[test]
fn the_pause_that_a_gateway_asks_for_lies_between_two_captures() {
    const PAUSE: Duration = Duration::from_secs(6);
    const PATIENCE: &str = "HTTP/1.1 503 X\r\nretry-after: 6\r\ncontent-length: 0\r\n\r\n";
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    let mut client = store.client();
    gateway.plan(Action::Capture, Fault::Say(PATIENCE));
    let since = Instant::now();
    let created = place(&mut client, "k", &order_of("c", &[&book], CARD)).expect(201).json();
    let id = created["order_id"].as_str().expect("an id");
    eventually("it is captured", || (order(&mut client, id)["payment_status"] == "captured").then_some(()));
    assert!(since.elapsed() >= PAUSE, "it was asked again after {:?}", since.elapsed());
}

#[test]
fn every_final_answer_ends_a_capture() {
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    let mut client = store.client();
    for (answer, expected) in [
        ("HTTP/1.1 400 X\r\ncontent-length: 20\r\n\r\n{\"status\":\"refused\"}", "capture_failed"),
        ("HTTP/1.1 402 X\r\ncontent-length: 0\r\n\r\n", "capture_failed"),
        ("HTTP/1.1 403 X\r\ncontent-length: 20\r\n\r\n{\"status\":\"refused\"}", "capture_failed"),
        ("HTTP/1.1 405 X\r\ncontent-length: 0\r\n\r\n", "capture_failed"),
        ("HTTP/1.1 409 X\r\ncontent-length: 19\r\n\r\n{\"status\":\"voided\"}", "capture_failed"),
        ("HTTP/1.1 409 X\r\ncontent-length: 21\r\n\r\n{\"status\":\"captured\"}", "captured"),
        ("HTTP/1.1 200 X\r\ncontent-length: 21\r\n\r\n{\"status\":\"refunded\"}", "capture_failed"),
    ] {
        gateway.plan(Action::Capture, Fault::Say(answer));
        let created = place(&mut client, &answer.escape_debug().to_string(), &order_of("c", &[&book], CARD));
        let id = created.expect(201).json()["order_id"].as_str().unwrap().to_owned();
        eventually("the capture has ended", || {
            let status = order(&mut client, &id)["payment_status"].clone();
            assert!(status == "authorised" || status == expected, "{answer}: {status}");
            (status == expected).then_some(())
        });
    }
    let metrics = fresh_metrics(&mut client);
    assert!(metrics.contains("shardcart_shard_captures_failed_total{shard=\"0\"} 6"), "{metrics}");
}

#[test]
fn calls_that_a_gateway_does_not_answer_are_counted() {
    const MOVED: &str = "HTTP/1.1 301 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    let mut client = store.client();
    (0..1_000).for_each(|_| gateway.plan(Action::Capture, Fault::Say(MOVED)));
    let created = place(&mut client, "k", &order_of("c", &[&book], CARD)).expect(201).json();
    eventually("it is counted", || {
        let metrics = fresh_metrics(&mut client);
        let is_zero = metrics.contains("shardcart_shard_payment_calls_failed_total{shard=\"0\"} 0\n");
        (metrics.contains("payment_calls_failed") && !is_zero).then_some(())
    });
    let id = created["order_id"].as_str().expect("an id");
    assert_eq!(order(&mut client, id)["payment_status"], "authorised");
}

#[test]
fn stock_that_another_order_holds_may_come_back() {
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    let mut client = store.client();
    gateway.plan(Action::Authorise, Fault::Hold);
    let all = |customer: &str| {
        json!({
            "customer_id": customer,
            "items": [{"isbn": book, "quantity": STOCK}],
            "payment": {"card_number": CARD},
        })
        .to_string()
    };
    let (mut first, body) = (store.client(), all("first"));
    let first = thread::spawn(move || place(&mut first, "first", &body));
    eventually("the stock is held", || (stock_of(&mut client, &book).held == STOCK).then_some(()));
    let answer = place(&mut client, "second", &all("second")).expect_problem(409, "stock held");
    assert_eq!(answer.json()["type"], "/problems/stock-held");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    client.post(&format!("/purchase/{book}"), "").expect_problem(409, "stock held");
    gateway.release();
    first.join().expect("it is answered").expect(201);
    // The key was not spent on the first answer.
    let answer = place(&mut client, "second", &all("second")).expect_problem(409, "out of stock");
    assert!(!answer.is_replayed() && answer.json()["type"] == "/problems/conflict", "{answer:?}");
    assert!(place(&mut client, "second", &all("second")).expect(409).is_replayed());
}
