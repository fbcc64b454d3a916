//! Products: reading, buying, replenishing, and editing them in the catalog. Every answer is also checked against the
//! OpenAPI document.

use std::collections::HashSet;

use serde_json::json;

use crate::harness::shop::{CARD, Stock, make_book, stock_of};
use crate::harness::{Answer, Client, Document, Setup, Store};

fn start() -> (Store, Client, Document) {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    (store, client, document)
}

fn buy(client: &mut Client, body: &str) -> Answer {
    client.put("/buy", body)
}

#[test]
fn a_product_is_found_by_its_id() {
    let (_store, mut client, document) = start();
    let found = client.call("GET", "/find/1").send_as_documented(&document).expect(200);
    let info = client.call("GET", "/info/1").send_as_documented(&document).expect(200);
    assert_eq!(found.json()["product"], info.json());
    assert!(found.header("etag").is_none());
    let tag = info.etag();
    client.call("GET", "/info/1").header("If-None-Match", &tag).send_as_documented(&document).expect(304);
    client.call("HEAD", "/find/1/").send().expect(200);
    client.get("/find/none").expect_executed_problem(404, "no such product");
    client.get("/find/%00").expect_executed_problem(400, "id");
    client.post("/find/1", "{}").expect_executed_problem(405, "GET");
    client.call("GET", "/info/none").send_as_documented(&document).expect(404);
    make_book(&mut client, "978-x", 1);
    let strange = json!({"id": "a/b é+", "title": "Strange", "price": 1, "stock": 1}).to_string();
    let made = client.post("/catalog/books", &strange).expect(201);
    assert_eq!(made.header("location"), Some("/catalog/books/a%2Fb%20%C3%A9%2B"));
    assert_eq!(client.get("/info/a%2Fb%20%C3%A9+").expect(200).json()["id"], "a/b é+");
}

#[test]
fn every_execution_has_an_id_of_its_own() {
    let (_store, mut client, _) = start();
    let mut ids = HashSet::new();
    for _ in 0..10 {
        ids.insert(client.get("/find/1").expect(200).execution_id());
        ids.insert(client.put("/replenish", r#"{"id": 1, "quantity": 1}"#).expect(200).execution_id());
        ids.insert(client.put("/replenish", "{").expect(400).execution_id());
    }
    assert_eq!(ids.len(), 30);
}

#[test]
fn buying_takes_stock_and_money() {
    let (_store, mut client, document) = start();
    let body = json!({"id": 2, "quantity": 3, "card": CARD}).to_string();
    let bought = client.call("PUT", "/buy").json(&body).send_as_documented(&document).expect(200);
    let answer = bought.json();
    assert_eq!((&answer["id"], &answer["quantity"], &answer["remaining"]), (&"2".into(), &3.into(), &7.into()));
    assert_eq!(bought.number("total"), "60.00");
    assert_eq!(stock_of(&mut client, "2"), Stock { stock: 7, held: 0, sold: 3, received: 10 });
    let order = client.call("GET", &format!("/api/orders/{}", answer["order_id"].as_str().unwrap()));
    let order = order.header("X-API-Key", "secret123").send_as_documented(&document).expect(200).json();
    assert_eq!((&order["customer_id"], &order["status"]), (&json!(null), &"created".into()));
    for (body, status, mentions) in [
        (json!({"id": "2", "quantity": 8, "card": CARD}), 409, "out of stock"),
        (json!({"id": "none", "quantity": 1, "card": CARD}), 404, "no such product"),
        (json!({"id": 2, "quantity": 1, "card": "4242424242420002"}), 402, "declined"),
        (json!({"id": 2, "quantity": 1}), 400, "card"),
        (json!({"id": 2, "quantity": 1, "card": "424242424242424"}), 400, "card"),
        (json!({"id": 2, "quantity": 1, "card": 4_242_424_242_424_242_u64}), 400, "card"),
        (json!({"id": 2, "quantity": 0, "card": CARD}), 400, "quantity"),
        (json!({"id": 2, "quantity": 1_000_001, "card": CARD}), 400, "quantity"),
        (json!({"id": 2, "quantity": 1.5, "card": CARD}), 400, "quantity"),
        (json!({"id": 2.5, "quantity": 1, "card": CARD}), 400, "id"),
        (json!({"id": true, "quantity": 1, "card": CARD}), 400, "id"),
        (json!({"quantity": 1, "card": CARD}), 400, "id"),
    ] {
        let answer = client.call("PUT", "/buy").json(&body.to_string()).send_as_documented(&document);
        let answer = answer.expect(status);
        answer.execution_id();
        assert!(answer.json()["detail"].as_str().unwrap().contains(mentions), "{body}: {}", answer.text());
    }
    client.call("PUT", "/buy").body("{}").send_as_documented(&document).expect(415);
    client.call("PUT", "/buy").json(&" ".repeat(70_000)).send_as_documented(&document).expect(413);
    client.get("/buy").expect_executed_problem(405, "PUT");
    assert_eq!(stock_of(&mut client, "2"), Stock { stock: 7, held: 0, sold: 3, received: 10 });
}

#[test]
fn stock_is_replenished() {
    let (_store, mut client, document) = start();
    let replenish =
        |client: &mut Client, body: &str| client.call("PUT", "/replenish").json(body).send_as_documented(&document);
    assert_eq!(replenish(&mut client, r#"{"id": "3", "quantity": 5}"#).expect(200).number("quantity"), "15");
    assert_eq!(stock_of(&mut client, "3"), Stock { stock: 15, held: 0, sold: 0, received: 15 });
    replenish(&mut client, r#"{"id": "none", "quantity": 5}"#).expect(404);
    replenish(&mut client, r#"{"id": "3", "quantity": 0}"#).expect(400);
    replenish(&mut client, r#"{"id": "3", "quantity": 1, "quantity": 1}"#).expect(400);
    client.call("PATCH", "/catalog/books/3").json(r#"{"stock": 1000000000}"#).send().expect(200);
    replenish(&mut client, r#"{"id": "3", "quantity": 1}"#).expect(409);
    assert_eq!(stock_of(&mut client, "3").received, 1_000_000_000);
}

#[test]
fn the_same_key_gets_the_first_answer() {
    let (_store, mut client, _) = start();
    let body = json!({"id": 4, "quantity": 1, "card": CARD}).to_string();
    let keyed = |client: &mut Client, path: &str, body: &str, key: &str| {
        client.call("PUT", path).header("Idempotency-Key", key).json(body).send()
    };
    let first = keyed(&mut client, "/buy", &body, "b").expect(200);
    let again = keyed(&mut client, "/buy", &body, "b").expect(200);
    assert!(again.is_replayed() && !first.is_replayed());
    assert_eq!(first.json()["order_id"], again.json()["order_id"]);
    // Only the last four characters of a card are part of the fingerprint.
    let other_card = json!({"id": 4, "quantity": 1, "card": "5555555555554242"}).to_string();
    assert!(keyed(&mut client, "/buy", &other_card, "b").expect(200).is_replayed());
    let other = json!({"id": 4, "quantity": 2, "card": CARD}).to_string();
    keyed(&mut client, "/buy", &other, "b").expect_executed_problem(422, "Idempotency-Key");
    let more = r#"{"id": 4, "quantity": 2}"#;
    assert_eq!(keyed(&mut client, "/replenish", more, "r").expect(200).number("quantity"), "11");
    assert_eq!(keyed(&mut client, "/replenish", more, "r").expect(200).number("quantity"), "11");
    assert_eq!(stock_of(&mut client, "4"), Stock { stock: 11, held: 0, sold: 1, received: 12 });
    let refused = json!({"id": 4, "quantity": 1, "card": "4242424242420002"}).to_string();
    keyed(&mut client, "/buy", &refused, "c").expect(402);
    assert!(keyed(&mut client, "/buy", &refused, "c").expect(402).is_replayed());
}

#[test]
fn a_purchase_sells_one_copy_without_payment() {
    let (_store, mut client, document) = start();
    make_book(&mut client, "978-p", 2);
    let bought = client.call("POST", "/purchase/978-p").send_as_documented(&document).expect(201).json();
    assert_eq!(
        (&bought["id"], &bought["title"], &bought["remaining"]),
        (&"978-p".into(), &"Book 978-p".into(), &1.into())
    );
    let keyed = |client: &mut Client| {
        client.call("POST", "/purchase/978-p").header("Idempotency-Key", "k").send_as_documented(&document)
    };
    let first = keyed(&mut client).expect(201);
    assert_eq!(first.number("price"), "10.00");
    assert_eq!(keyed(&mut client).expect(201).json(), first.json());
    client.call("POST", "/purchase/978-p").send_as_documented(&document).expect(409);
    client.call("POST", "/purchase/none").send_as_documented(&document).expect(404);
    client.get("/purchase/978-p").expect_problem(405, "POST");
    assert_eq!(stock_of(&mut client, "978-p"), Stock { stock: 0, held: 0, sold: 2, received: 2 });
}

#[test]
fn the_catalog_is_edited() {
    let (_store, mut client, document) = start();
    let book = r#"{"isbn": "978-c", "title": "T", "price": "12.10", "stock": 5, "author": "A", "topic": null, "x": 1}"#;
    let made = client.call("POST", "/catalog/books").json(book).send_as_documented(&document).expect(201);
    assert_eq!((made.header("location"), made.number("price").as_str()), (Some("/catalog/books/978-c"), "12.10"));
    client.call("POST", "/catalog/books").json(book).send_as_documented(&document).expect(409);
    let path = "/catalog/books/978-c";
    let change = |client: &mut Client, method: &str, body: &str| {
        client.call(method, path).json(body).send_as_documented(&document)
    };
    let changed = change(&mut client, "PATCH", r#"{"price": 9, "author": null}"#).expect(200);
    assert_eq!((changed.number("price").as_str(), &changed.json()["author"]), ("9.00", &"A".into()));
    let patched = |client: &mut Client, body: &str| {
        let call = client.call("PATCH", path).header("Content-Type", "application/merge-patch+json");
        call.body(body).send_as_documented(&document)
    };
    for field in ["title", "price", "stock"] {
        patched(&mut client, &format!(r#"{{"{field}": null}}"#)).expect_problem(400, field);
    }
    let cleared = patched(&mut client, r#"{"author": null, "isbn": null, "topic": "T"}"#).expect(200).json();
    assert_eq!((&cleared["author"], &cleared["isbn"], &cleared["topic"]), (&json!(null), &json!(null), &"T".into()));
    let kept = patched(&mut client, r#"{"isbn": "978-c", "topic": null}"#).expect(200).json();
    assert_eq!((&kept["isbn"], &kept["topic"], &kept["title"]), (&"978-c".into(), &json!(null), &"T".into()));
    let replaced = change(&mut client, "PUT", r#"{"title": "U", "price": 8, "stock": 3}"#).expect(200).json();
    assert_eq!(
        (&replaced["title"], &replaced["author"], &replaced["isbn"]),
        (&"U".into(), &json!(null), &"978-c".into())
    );
    assert_eq!(stock_of(&mut client, "978-c"), Stock { stock: 3, held: 0, sold: 0, received: 3 });
    for (method, body, mentions) in [
        ("PUT", r#"{"title": "U", "price": 8}"#, "stock"),
        ("PUT", r#"{"title": "U", "price": 8, "stock": 1, "id": "other"}"#, "id"),
        ("PATCH", r#"{"stock": 1000000001}"#, "stock"),
        ("PATCH", r#"{"title": ""}"#, "title"),
        ("PATCH", r#"{"title": 7}"#, "title"),
        ("PATCH", r#"{"price": -1}"#, "price"),
        ("PATCH", r#"{"isbn": "978-d"}"#, "isbn"),
        ("PATCH", "[]", "body"),
    ] {
        client.call(method, path).json(body).send().expect_problem(400, mentions);
    }
    for (body, mentions) in [
        (r#"{"title": "T", "price": 1, "stock": 1}"#, "id"),
        (r#"{"id": "a", "isbn": "b", "title": "T", "price": 1, "stock": 1}"#, "isbn"),
        (r#"{"isbn": "a b", "title": "T", "price": 1, "stock": 1}"#, "isbn"),
        (r#"{"isbn": "123456789012345678901", "title": "T", "price": 1, "stock": 1}"#, "isbn"),
        (r#"{"id": "a", "title": "T", "price": 0.001, "stock": 1}"#, "price"),
        (r#"{"id": "a", "title": "T", "price": 1, "stock": -1}"#, "stock"),
        (r#"{"id": "a", "price": 1, "stock": 1}"#, "title"),
    ] {
        client.post("/catalog/books", body).expect_problem(400, mentions);
    }
    let tag = client.call("GET", path).send_as_documented(&document).expect(200).etag();
    client.call("PATCH", path).header("If-Match", "\"1\"").json("{}").send_as_documented(&document).expect(412);
    client.call("PATCH", path).header("If-Match", &tag).json("{}").send_as_documented(&document).expect(200);
    client.call("DELETE", path).header("If-Match", &tag).send_as_documented(&document).expect(412);
    let deleted = client.call("DELETE", path).send_as_documented(&document).expect(200).json();
    assert_eq!(deleted["title"], "U");
    for method in ["GET", "DELETE"] {
        client.call(method, path).send_as_documented(&document).expect(404);
    }
    change(&mut client, "PUT", r#"{"title": "U", "price": 8, "stock": 3}"#).expect(404);
    let again = client.post("/catalog/books", book).expect(201);
    assert!(again.version() > deleted["version"].as_u64().unwrap());
    client.call("PROPFIND", path).send().expect_problem(405, "PATCH");
}

#[test]
fn a_book_without_stock_is_unchanged_by_purchases() {
    let (_store, mut client, _) = start();
    make_book(&mut client, "978-0", 0);
    buy(&mut client, &json!({"id": "978-0", "quantity": 1, "card": CARD}).to_string()).expect(409);
    client.post("/purchase/978-0", "").expect(409);
    assert_eq!(stock_of(&mut client, "978-0"), Stock { stock: 0, held: 0, sold: 0, received: 0 });
}
