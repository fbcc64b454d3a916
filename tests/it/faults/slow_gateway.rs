//! A payment gateway that is away: customers have an answer in time, and whoever does not pay notices nothing.

use std::thread;

use serde_json::json;

use crate::harness::shop::{CARD, Stock, insist, make_book, order, order_of, place, settled, stock_of};
use crate::harness::{Action, Fault, Gateway, Setup, Store, eventually, fresh_metrics, offer};

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

#[test]
fn a_gateway_that_is_away_keeps_nobody_and_refuses_paid_orders_past_a_limit() {
    let mut gateway = Gateway::start();
    let (store, book) = open(&gateway);
    gateway.stop();
    let orders: Vec<_> = (0..MOST)
        .map(|number| {
            let (mut client, body) = (store.client(), order_of(&format!("c{number}"), &[&book], CARD));
            thread::spawn(move || place(&mut client, &format!("k{number}"), &body))
        })
        .collect();
    for order in orders {
        let answer = order.join().expect("it is answered").expect_problem(504, "not decided yet");
        assert!(answer.text().contains("same Idempotency-Key"), "{answer:?}");
    }
    let mut client = store.client();
    let body = order_of("c9", &[&book], CARD);
    place(&mut client, "k9", &body).expect_problem(503, "the payment gateway has not answered about too many orders");
    client.put("/buy", &format!(r#"{{"id":"{book}","quantity":1,"card":"{CARD}"}}"#)).expect_executed_problem(503, "");
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    client.post(&format!("/purchase/{book}"), "").expect(201);
    place(&mut client, "k0", &order_of("c0", &[&book], CARD)).expect_problem(409, "being worked on");
    gateway.start_again();
    for number in 0..MOST {
        insist(&mut client, &format!("k{number}"), &order_of(&format!("c{number}"), &[&book], CARD)).expect(201);
    }
    insist(&mut client, "k9", &body).expect(201);
    let sold = MOST as u64 + 2;
    let expected = Stock { stock: STOCK - sold, held: 0, sold, received: STOCK };
    assert_eq!(settled(&store, &[&book]), [expected]);
}

#[test]
fn every_final_answer_ends_a_capture() {
    let gateway = Gateway::start();
    let (store, book) = open(&gateway);
    let mut client = store.client();
    for answer in [
        "HTTP/1.1 402 Payment Required\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 409 Conflict\r\ncontent-length: 19\r\n\r\n{\"status\":\"voided\"}",
    ] {
        gateway.plan(Action::Capture, Fault::Say(answer));
        let created =
            place(&mut client, answer.split("\r\n").next().unwrap(), &order_of("c", &[&book], CARD)).expect(201);
        let id = created.json()["order_id"].as_str().unwrap().to_owned();
        eventually("the capture has failed", || {
            (order(&mut client, &id)["payment_status"] == "capture_failed").then_some(())
        });
    }
    let metrics = fresh_metrics(&mut client);
    assert!(metrics.contains("shardcart_shard_captures_failed_total{shard=\"0\"} 4"), "{metrics}");
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
