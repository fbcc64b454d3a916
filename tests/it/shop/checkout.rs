//! Checkouts: a cart becomes an order with the cart's prices and counts, and unsold items stay in the cart.

use serde_json::{Value, json};

use crate::harness::shop::{CARD, KEY, Stock, make_book, settled, stock_of};
use crate::harness::{Action, Answer, Client, Document, Fault, Gateway, Setup, Store, eventually, offer};

const STOCK: u64 = 5;

fn start() -> (Store, Client, Document) {
    let store = Setup::new(4).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    ["978-1", "978-2"].iter().for_each(|book| make_book(&mut client, book, STOCK));
    (store, client, document)
}

fn paid() -> Value {
    json!({"payment": {"card_number": CARD}})
}

fn checkout(client: &mut Client, document: &Document, body: &Value) -> Answer {
    client.call("POST", "/checkout/alice").json(&body.to_string()).send_as_documented(document)
}

fn cart(client: &mut Client) -> Value {
    client.get("/items/alice").expect(200).json()
}

#[test]
fn a_cart_is_sold_at_its_own_prices() {
    let (store, mut client, document) = start();
    client.post("/item/alice/978-1", &offer("7.77", 2)).expect(201);
    client.post("/item/alice/978-2", &offer("0.01", 1)).expect(201);
    let body = json!({"payment": {"card_number": CARD, "expiry": "12/31"}, "address": "1 Main St"});
    let order = checkout(&mut client, &document, &body).expect(201);
    assert_eq!(order.number("total"), "15.55");
    assert_eq!(cart(&mut client)["items"], json!([]));
    let sold = |count| Stock { stock: STOCK - count, held: 0, sold: count, received: STOCK };
    assert_eq!(settled(&store, &["978-1", "978-2"]), [sold(2), sold(1)]);
    let delivery = order.json()["delivery_id"].as_str().expect("a delivery").to_owned();
    let delivery = client.call("GET", &format!("/api/delivery/{delivery}")).header("X-API-Key", KEY).send();
    let delivery = delivery.expect(200).json();
    assert_eq!((&delivery["order_id"], &delivery["address"]), (&order.json()["order_id"], &"1 Main St".into()));
    assert_eq!((&delivery["courier"], &delivery["status"]), (&"local".into(), &"scheduled".into()));
    checkout(&mut client, &document, &paid()).expect_problem(404, "the cart is empty");
}

#[test]
fn refusals_leave_the_cart_and_the_stock_as_they_were() {
    let (_store, mut client, document) = start();
    client.post("/item/alice/978-1", &offer("7.77", 6)).expect(201);
    client.post("/item/alice/none", &offer("1", 1)).expect(201);
    let before = client.get("/items/alice").expect(200);
    let refused = checkout(&mut client, &document, &paid()).expect_problem(409, "unknown product").json();
    let expected = json!([
        {"itemId": "978-1", "code": "out_of_stock", "reason": "out of stock", "available": 5},
        {"itemId": "none", "code": "unknown_product", "reason": "unknown product"},
    ]);
    assert_eq!(refused["lines"], expected);
    client.delete("/item/alice/none").expect(200);
    client.put("/item/alice/978-1", r#"{"newCount": 1}"#).expect(200);
    let second = client.get("/items/alice").expect(200);
    assert_ne!(before.etag(), second.etag());
    for (body, status) in [
        (json!({}), 402),
        (json!({"payment": {}}), 402),
        (json!({"payment": {"card_number": "4242424242420002"}}), 402),
        (json!({"payment": {"card_number": "x"}}), 400),
        (json!({"payment": {"card_number": CARD}, "address": ""}), 400),
        (json!({"payment": {"card_number": CARD}, "acceptPriceChanges": 1}), 400),
    ] {
        checkout(&mut client, &document, &body).expect(status);
        let after = client.get("/items/alice").expect(200);
        assert_eq!((after.etag(), after.json()), (second.etag(), second.json()), "{body}");
    }
    client.call("POST", "/checkout/alice").send().expect_problem(402, "card_number");
    let stale = client.call("POST", "/checkout/alice").header("If-Match", &before.etag()).json(&paid().to_string());
    stale.send().expect_problem(412, "If-Match");
    assert_eq!(stock_of(&mut client, "978-1"), Stock { stock: STOCK, held: 0, sold: 0, received: STOCK });
    client.get("/checkout/alice").expect_problem(405, "POST");
    let current = client.call("POST", "/checkout/alice").header("If-Match", &second.etag()).json(&paid().to_string());
    current.send().expect(201);
}

#[test]
fn a_sale_that_is_over_is_sold_at_the_catalog_price_if_that_is_accepted() {
    let (_store, mut client, document) = start();
    let sale = r#"{"offeredPrice": 4, "itemCount": 1, "specialSale": true, "saleExpiration": "2020-01-01"}"#;
    client.post("/item/alice/978-1", sale).expect(201);
    let refused = checkout(&mut client, &document, &paid()).expect_problem(409, "sale expired");
    let expected = json!([{"itemId": "978-1", "code": "sale_expired", "reason": "sale expired", "oldPrice": 4.0, "newPrice": 10.0}]);
    assert_eq!(refused.json()["lines"], expected);
    let body = json!({"payment": {"card_number": CARD}, "acceptPriceChanges": true});
    assert_eq!(checkout(&mut client, &document, &body).expect(201).number("total"), "10.00");
    let sale = sale.replace("2020", "2999");
    client.post("/item/alice/978-1", &sale).expect(201);
    assert_eq!(checkout(&mut client, &document, &paid()).expect(201).number("total"), "4.00");
}

#[test]
fn the_same_key_checks_out_once() {
    let (store, mut client, _) = start();
    client.post("/item/alice/978-1", &offer("1", 1)).expect(201);
    let keyed = |client: &mut Client| {
        client.call("POST", "/checkout/alice").header("Idempotency-Key", "k").json(&paid().to_string()).send()
    };
    let first = keyed(&mut client).expect(201);
    client.post("/item/alice/978-1", &offer("1", 1)).expect(201);
    let again = keyed(&mut client).expect(201);
    assert!(again.is_replayed());
    assert_eq!((again.json(), again.etag()), (first.json(), first.etag()));
    assert_eq!(settled(&store, &["978-1"])[0].sold, 1);
}

#[test]
fn while_a_checkout_is_open_the_cart_takes_additions_only() {
    let gateway = Gateway::start();
    let store = Setup::new(2).shard_options(&["--payment", &gateway.url()]).start();
    let mut client = store.client();
    make_book(&mut client, "978-1", STOCK);
    gateway.plan(Action::Authorise, Fault::Hold);
    client.post("/item/alice/978-1", &offer("2", 1)).expect(201);
    client.post("/item/alice/other", &offer("3", 1)).expect(201);
    client.delete("/item/alice/other").expect(200);
    let mut paying = store.client();
    let checkout = std::thread::spawn(move || paying.post("/checkout/alice", &paid().to_string()));
    eventually("the stock is held", || (stock_of(&mut client, "978-1").held == 1).then_some(()));
    let in_flight = |answer: Answer| {
        let answer = answer.expect_problem(409, "being checked out");
        assert_eq!(answer.json()["type"], "/problems/in-flight");
        assert!(answer.header("retry-after").is_some());
    };
    in_flight(client.put("/item/alice/978-1", r#"{"newCount": 5}"#));
    in_flight(client.delete("/item/alice/978-1"));
    in_flight(client.delete("/items/alice"));
    in_flight(client.post("/checkout/alice", &paid().to_string()));
    client.post("/item/alice/978-1", &offer("4", 2)).expect(200);
    client.post("/item/alice/other", &offer("3", 1)).expect(201);
    client.put("/item/alice/other", r#"{"newCount": 7}"#).expect(200);
    gateway.release();
    let order = checkout.join().expect("the checkout ends").expect(201);
    assert_eq!(order.number("total"), "2.00");
    let left = cart(&mut client);
    let lines: Vec<_> =
        left["items"].as_array().unwrap().iter().map(|line| (&line["itemId"], &line["itemCount"])).collect();
    assert_eq!(lines, [(&"978-1".into(), &2.into()), (&"other".into(), &7.into())]);
    client.delete("/item/alice/978-1").expect(200);
}
