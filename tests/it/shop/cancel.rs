//! Cancellation of orders: what it gives back, what it refuses, and what it leaves to deliveries.

use serde_json::{Value, json};

use crate::harness::shop::{CARD, KEY, Stock, make_book, order, order_of, place, stock_of};
use crate::harness::{Answer, Client, Document, Setup, Store, eventually};

const BOOK: &str = "978-1";
const STOCK: u64 = 5;
const UNTOUCHED: Stock = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };

fn start() -> (Store, Client, Document) {
    let store = Setup::new(2).durable().start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    make_book(&mut client, BOOK, STOCK);
    (store, client, document)
}

fn id_of(answer: &Answer) -> String {
    answer.json()["order_id"].as_str().expect("an id").to_owned()
}

/// An order of one book that is closed.
fn closed_order(client: &mut Client, key: &str, card: &str) -> String {
    let id = id_of(&place(client, key, &order_of("alice", &[BOOK], card)).expect(201));
    eventually("it is captured", || (order(client, &id)["payment_status"] == "captured").then_some(()));
    id
}

fn cancel(client: &mut Client, document: &Document, id: &str) -> Answer {
    let path = format!("/api/orders/{id}/cancel");
    client.call("POST", &path).header("X-API-Key", KEY).send_as_documented(document)
}

fn deliver(client: &mut Client, document: &Document, order: &str) -> Answer {
    let body = json!({"order_id": order, "address": "1 Main St"}).to_string();
    client.call("POST", "/api/delivery").header("X-API-Key", KEY).json(&body).send_as_documented(document)
}

fn move_to(client: &mut Client, delivery: &Value, status: &str) -> Answer {
    let path = format!("/api/delivery/{}", delivery["delivery_id"].as_str().expect("an id"));
    client.call("PATCH", &path).header("X-API-Key", KEY).json(&json!({"status": status}).to_string()).send()
}

#[test]
fn a_cancelled_order_leaves_stock_and_payment_as_they_were() {
    let (store, mut client, document) = start();
    let id = closed_order(&mut client, "k", CARD);
    assert_eq!(stock_of(&mut client, BOOK).sold, 1);
    let cancelled = cancel(&mut client, &document, &id).expect(200);
    let shown = cancelled.json();
    assert_eq!((&shown["status"], &shown["payment_status"]), (&"cancelled".into(), &"refunded".into()));
    assert_eq!(stock_of(&mut client, BOOK), UNTOUCHED);
    for _ in 0..2 {
        let again = cancel(&mut client, &document, &id).expect(200);
        assert_eq!((again.json(), again.etag()), (shown.clone(), cancelled.etag()));
    }
    assert_eq!(stock_of(&mut client, BOOK), UNTOUCHED);
    let (_, counts) = store.gateway.as_ref().expect("a gateway").ask("GET", "/payments", "");
    assert_eq!((&counts["captured"], &counts["refunded"]), (&0.into(), &1.into()));
    let steps = shown["steps"].as_array().expect("steps");
    let step =
        |name: &str| steps.iter().find(|step| step["event"] == name).unwrap_or_else(|| panic!("no {name}: {shown}"));
    assert_eq!((&step("refunded")["gateway"], &step("authorised")["gateway"]), (&"refund".into(), &"authorise".into()));
    let home = json!([store.shard_of("alice")]);
    assert_eq!((&step("cancelled")["shards"], &step("pending")["shards"]), (&home, &home));
    let of_book = json!([store.shard_of(BOOK)]);
    assert_eq!((&step("held")["shards"], &step("returned")["shards"]), (&of_book, &of_book));
    let listed = "/api/orders?customer_id=alice&status=cancelled&payment_status=refunded";
    let page = client.call("GET", listed).header("X-API-Key", KEY).send_as_documented(&document).expect(200).json();
    assert_eq!((page["items"].as_array().map(Vec::len), &page["items"][0]), (Some(1), &shown));
}

#[test]
fn an_order_that_is_not_created_or_not_there_is_refused() {
    let (_store, mut client, document) = start();
    place(&mut client, "k", &order_of("alice", &[BOOK], "4242424242420002")).expect(402);
    let page = client.call("GET", "/api/orders").header("X-API-Key", KEY).send().expect(200).json();
    let refused = page["items"][0]["order_id"].as_str().expect("an id").to_owned();
    let answer = cancel(&mut client, &document, &refused).expect_problem(409, "refused");
    assert_eq!(answer.json()["code"], "order_not_created");
    for unknown in ["none", "01a2097f-3aea-8432-ba84-bc6d0ef2305e"] {
        cancel(&mut client, &document, unknown).expect_problem(404, "no such order");
    }
    let path = format!("/api/orders/{refused}/cancel");
    client.post(&path, "").expect_problem(401, "X-API-Key");
    client.get(&path).expect(401);
    client.call("GET", &path).header("X-API-Key", KEY).send().expect_problem(405, "POST");
    client.call("POST", &path).header("X-API-Key", KEY).json("[]").send().expect(400);
}

#[test]
fn conditions_and_keys_are_honoured() {
    let (_store, mut client, document) = start();
    let id = closed_order(&mut client, "k", CARD);
    let path = format!("/api/orders/{id}/cancel");
    let tag = client.call("GET", &format!("/api/orders/{id}")).header("X-API-Key", KEY).send().expect(200).etag();
    let mut call = |tag: &str, key: &str| {
        let call = client.call("POST", &path).header("X-API-Key", KEY).header("If-Match", tag);
        call.header("Idempotency-Key", key).send_as_documented(&document)
    };
    call("\"1\"", "a").expect(412);
    let cancelled = call(&tag, "b").expect(200);
    assert!(!cancelled.is_replayed());
    let again = call(&tag, "b").expect(200);
    assert!(again.is_replayed());
    assert_eq!((again.json(), again.etag()), (cancelled.json(), cancelled.etag()));
    call(&tag, "c").expect(412);
    call(&cancelled.etag(), "d").expect(200);
}

#[test]
fn a_scheduled_delivery_is_cancelled_with_its_order_and_a_dispatched_one_forbids_it() {
    let (_store, mut client, document) = start();
    let id = closed_order(&mut client, "k", CARD);
    let first = deliver(&mut client, &document, &id).expect(201).json();
    let second = deliver(&mut client, &document, &id).expect_problem(409, "scheduled");
    assert_eq!(second.json()["code"], "delivery_exists");
    move_to(&mut client, &first, "cancelled").expect(200);
    let second = deliver(&mut client, &document, &id).expect(201).json();
    move_to(&mut client, &second, "dispatched").expect(200);
    deliver(&mut client, &document, &id).expect_problem(409, "dispatched");
    let refused = cancel(&mut client, &document, &id).expect_problem(409, "dispatched");
    assert_eq!(refused.json()["code"], "order_dispatched");
    move_to(&mut client, &second, "delivered").expect(200);
    let third = deliver(&mut client, &document, &id).expect(201).json();
    cancel(&mut client, &document, &id).expect_problem(409, "delivered");
    move_to(&mut client, &third, "cancelled").expect(200);
    cancel(&mut client, &document, &id).expect_problem(409, "delivered");
    assert_eq!(order(&mut client, &id)["status"], "created");

    let other = closed_order(&mut client, "l", CARD);
    let scheduled = deliver(&mut client, &document, &other).expect(201).json();
    cancel(&mut client, &document, &other).expect(200);
    move_to(&mut client, &scheduled, "dispatched").expect_problem(409, "from cancelled");
    deliver(&mut client, &document, &other).expect_problem(409, "cancelled");
    assert_eq!(stock_of(&mut client, BOOK), Stock { stock: STOCK - 1, held: 0, sold: 1, received: STOCK });
}

#[test]
fn a_checkouts_delivery_is_cancelled_with_its_order() {
    let (_store, mut client, document) = start();
    client.post(&format!("/item/alice/{BOOK}"), r#"{"offeredPrice": 10, "itemCount": 2}"#).expect(201);
    let body = json!({"address": "1 Main St", "payment": {"card_number": CARD}}).to_string();
    let placed = client.post("/checkout/alice", &body).expect(201).json();
    let id = placed["order_id"].as_str().expect("an id");
    cancel(&mut client, &document, id).expect(200);
    let delivery = format!("/api/delivery/{}", placed["delivery_id"].as_str().expect("an id"));
    let delivery = client.call("GET", &delivery).header("X-API-Key", KEY).send().expect(200).json();
    assert_eq!(delivery["status"], "cancelled");
    assert_eq!(stock_of(&mut client, BOOK), UNTOUCHED);
}

#[test]
fn a_product_that_was_made_again_gets_nothing_back() {
    let (_store, mut client, document) = start();
    let id = closed_order(&mut client, "k", CARD);
    client.delete(&format!("/catalog/books/{BOOK}")).expect(200);
    make_book(&mut client, BOOK, STOCK);
    place(&mut client, "l", &order_of("bob", &[BOOK], CARD)).expect(201);
    cancel(&mut client, &document, &id).expect(200);
    assert_eq!(stock_of(&mut client, BOOK), Stock { stock: STOCK - 1, held: 0, sold: 1, received: STOCK });
}

#[test]
fn an_order_without_payment_is_cancelled_too() {
    let (_store, mut client, document) = start();
    let bought = id_of(&client.post(&format!("/purchase/{BOOK}"), "").expect(201));
    let cancelled = cancel(&mut client, &document, &bought).expect(200).json();
    assert_eq!((&cancelled["status"], &cancelled["payment_status"]), (&"cancelled".into(), &"none".into()));
    assert_eq!(stock_of(&mut client, BOOK), UNTOUCHED);
}

#[test]
fn a_card_whose_refund_is_refused_shows_it() {
    let (_store, mut client, document) = start();
    let id = closed_order(&mut client, "k", "4242424242420341");
    assert_eq!(cancel(&mut client, &document, &id).expect(200).json()["payment_status"], "refund_failed");
    assert_eq!(stock_of(&mut client, BOOK), UNTOUCHED);
}
