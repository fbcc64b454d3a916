//! Orders of books: the precedence of refusals, the order as it is read back, and the state after a refusal.

use serde_json::{Value, json};

use crate::harness::shop::{CARD, KEY, Stock, make_book, settled, stock_of};
use crate::harness::{Answer, Call, Client, Document, Setup, Store, all_at_once};

/// Books on two shards, 10.00 each.
const BOOKS: [&str; 3] = ["978-1", "978-2", "978-3"];
const STOCK: u64 = 5;
const UNTOUCHED: Stock = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };

fn start() -> (Store, Client, Document) {
    let store = Setup::new(4).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    BOOKS.iter().for_each(|book| make_book(&mut client, book, STOCK));
    (store, client, document)
}

fn call<'a>(client: &'a mut Client, body: &Value) -> Call<'a> {
    client.call("POST", "/api/orders").header("X-API-Key", KEY).json(&body.to_string())
}

fn wanted(lines: &[(&str, u64)]) -> Vec<Value> {
    lines.iter().map(|(isbn, quantity)| json!({"isbn": isbn, "quantity": quantity})).collect()
}

fn body(lines: &[(&str, u64)], card: &str) -> Value {
    json!({"customer_id": "alice", "items": wanted(lines), "payment": {"card_number": card}})
}

fn read(client: &mut Client, document: &Document, answer: &Answer) -> Value {
    let path = answer.header("location").expect("a location").to_owned();
    client.call("GET", &path).header("X-API-Key", KEY).send_as_documented(document).expect(200).json()
}

#[test]
fn an_order_over_several_shards_is_paid_and_read_back() {
    let (store, mut client, document) = start();
    let lines = [("978-1", 2), ("978-2", 1), ("978-1", 1), ("978-3", 1)];
    let created = call(&mut client, &body(&lines, CARD)).send_as_documented(&document).expect(201);
    assert_eq!((created.json()["status"].clone(), created.number("total").as_str()), ("created".into(), "50.00"));
    let order = read(&mut client, &document, &created);
    assert_eq!((&order["customer_id"], &order["status"]), (&"alice".into(), &"created".into()));
    let items: Vec<_> =
        order["items"].as_array().unwrap().iter().map(|item| (&item["isbn"], &item["quantity"])).collect();
    assert_eq!(items, [(&"978-1".into(), &3.into()), (&"978-2".into(), &1.into()), (&"978-3".into(), &1.into())]);
    assert!(
        order["payment_tx_id"].is_string()
            && ["authorised", "captured"].contains(&order["payment_status"].as_str().unwrap())
    );
    let steps: Vec<_> = order["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert!(steps.starts_with(&["pending", "held", "authorised", "created"]), "{steps:?}");
    let sold = |count| Stock { stock: STOCK - count, held: 0, sold: count, received: STOCK };
    assert_eq!(settled(&store, &BOOKS), [sold(3), sold(1), sold(1)]);
    let id = created.json()["order_id"].as_str().unwrap().to_owned();
    let path = format!("/api/orders/{id}");
    client.call("GET", &path).send_as_documented(&document).expect(401);
    for other in ["none", "%20", "01a2097f-3aea-8432-ba84-bc6d0ef2305e", "00000000-0000-0000-0000-000000000000"] {
        let answer = client.call("GET", &format!("/api/orders/{other}")).header("X-API-Key", KEY).send();
        answer.expect_problem(404, "no such order");
    }
    client.call("DELETE", &path).header("X-API-Key", KEY).send().expect_problem(405, "GET");
    client.call("DELETE", "/api/orders").header("X-API-Key", KEY).send().expect_problem(405, "GET, HEAD, POST");
}

#[test]
fn refusals_come_in_the_documented_order_and_leave_everything_as_it_was() {
    let (_store, mut client, document) = start();
    let unknown = ("none", 1);
    let (short, fine) = (("978-1", 6), ("978-2", 1));
    let without_card = |lines: &[(&str, u64)]| json!({"customer_id": "alice", "items": wanted(lines)});
    let empty_card =
        |lines: &[(&str, u64)]| json!({"customer_id": "alice", "items": wanted(lines), "payment": {"card_number": ""}});
    for (body, status, mentions) in [
        (body(&[unknown], "4242"), 400, "payment.card_number"),
        (without_card(&[unknown, short]), 400, "unknown book none"),
        (body(&[("1", 1)], CARD), 400, "unknown book 1"),
        (without_card(&[short]), 402, "card_number"),
        (empty_card(&[fine]), 402, "card_number"),
        (json!({"customer_id": "alice", "items": wanted(&[fine]), "payment": null}), 402, "card_number"),
        (body(&[short, fine], "4242424242420002"), 409, "978-1: out of stock"),
        (body(&[("978-2", 999_999), ("978-2", 2)], CARD), 409, "978-2"),
        (body(&[fine, ("978-3", 1)], "4242424242420002"), 402, "declined"),
        (json!({"items": wanted(&[fine])}), 400, "customer_id"),
        (json!({"customer_id": 7, "items": wanted(&[fine])}), 400, "customer_id"),
        (json!({"customer_id": "x".repeat(129), "items": wanted(&[fine])}), 400, "customer_id"),
        (json!({"customer_id": "alice"}), 400, "items"),
        (json!({"customer_id": "alice", "items": []}), 400, "items"),
        (json!({"customer_id": "alice", "items": {}}), 400, "items"),
        (json!({"customer_id": "alice", "items": [7]}), 400, "items[0]"),
        (json!({"customer_id": "alice", "items": [{"isbn": "978-1"}]}), 400, "items[0].quantity"),
        (json!({"customer_id": "alice", "items": [{"isbn": "978-1", "quantity": 0}]}), 400, "items[0].quantity"),
        (json!({"customer_id": "alice", "items": [{"quantity": 1}]}), 400, "items[0].isbn"),
        (body(&[fine; 101], CARD), 400, "items"),
        (json!({"customer_id": "alice", "items": wanted(&[fine]), "payment": []}), 400, "payment"),
    ] {
        let answer = call(&mut client, &body).send_as_documented(&document);
        answer.expect_problem(status, mentions);
    }
    let lines = call(&mut client, &body(&[short, fine], CARD)).send().expect(409).json();
    assert_eq!(
        lines["lines"],
        json!([{"itemId": "978-1", "code": "out_of_stock", "reason": "out of stock", "available": 5}])
    );
    for book in BOOKS {
        assert_eq!(stock_of(&mut client, book), UNTOUCHED);
    }
    assert_eq!(call(&mut client, &body(&[fine; 3], CARD)).send().expect(201).number("total"), "30.00");
}

/// It only looks at the products: what it held, nobody else could buy.
#[test]
fn an_order_without_a_card_holds_nothing_for_a_moment() {
    let (store, mut client, _) = start();
    let mut look = || BOOKS.map(|book| client.get(&format!("/info/{book}")).expect(200).text());
    let before = look();
    let body = json!({"customer_id": "alice", "items": wanted(&BOOKS.map(|book| (book, 1)))});
    call(&mut store.client(), &body).send().expect_problem(402, "card_number");
    assert_eq!(look(), before, "a hold and its release give a product a new version");
}

#[test]
fn a_free_order_needs_no_card() {
    let (_store, mut client, document) = start();
    let free = json!({"isbn": "978-0", "title": "Free", "price": 0, "stock": 2}).to_string();
    client.post("/catalog/books", &free).expect(201);
    let body = json!({"customer_id": "alice", "items": wanted(&[("978-0", 1)])});
    let created = call(&mut client, &body).send_as_documented(&document).expect(201);
    assert_eq!(created.number("total"), "0.00");
    let order = read(&mut client, &document, &created);
    assert_eq!((&order["payment_status"], &order["payment_tx_id"]), (&"none".into(), &Value::Null));
}

#[test]
fn totals_are_exact_beyond_every_price() {
    let (_store, mut client, _) = start();
    let dear = r#"{"isbn": "978-9", "title": "Dear", "price": 9999999999.99, "stock": 1000000}"#;
    client.post("/catalog/books", dear).expect(201);
    let created = call(&mut client, &body(&[("978-9", 1_000_000)], CARD)).send().expect(201);
    assert_eq!(created.number("total"), "9999999999990000.00");
}

#[test]
fn the_same_key_gets_the_same_order() {
    let (store, mut client, _) = start();
    let order = body(&[("978-1", 1), ("978-2", 1)], CARD);
    let answers =
        all_at_once(&store, 8, |_, mut client| call(&mut client, &order).header("Idempotency-Key", "k").send());
    let mut created = Vec::new();
    for answer in answers {
        match answer.status {
            201 => created.push(answer),
            _ => {
                let answer = answer.expect_problem(409, "being worked on");
                assert_eq!(answer.json()["type"], "/problems/in-flight");
                assert!(answer.header("retry-after").is_some());
            }
        }
    }
    let again = call(&mut client, &order).header("Idempotency-Key", "k").send().expect(201);
    assert!(again.is_replayed());
    for answer in created {
        assert_eq!((answer.json(), answer.etag()), (again.json(), again.etag()));
        assert_eq!(answer.header("location"), again.header("location"));
    }
    let other = body(&[("978-1", 2)], CARD);
    call(&mut client, &other).header("Idempotency-Key", "k").send().expect_problem(422, "Idempotency-Key");
    let refused = body(&[("978-1", 1)], "4242424242420002");
    call(&mut client, &refused).header("Idempotency-Key", "r").send().expect(402);
    assert!(call(&mut client, &refused).header("Idempotency-Key", "r").send().expect(402).is_replayed());
    let sold = Stock { stock: STOCK - 1, held: 0, sold: 1, received: STOCK };
    assert_eq!(settled(&store, &BOOKS[..2]), [sold, sold]);
}
