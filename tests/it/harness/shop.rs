//! Helpers of the tests of products and orders: create products, place orders, read stock.

use serde_json::{Value, json};

use super::{Answer, Client, Store, eventually};

/// A card that every gateway accepts.
pub const CARD: &str = "4242424242424242";
/// The development key, which works on loopback while no other key is configured.
pub const KEY: &str = "secret123";

/// The stock of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    pub stock: u64,
    pub held: u64,
    pub sold: u64,
    pub received: u64,
}

/// Creates a book that costs 10.00.
pub fn make_book(client: &mut Client, isbn: &str, stock: u64) {
    let book = json!({"isbn": isbn, "title": format!("Book {isbn}"), "price": 10, "stock": stock, "topic": "tests"});
    client.post("/catalog/books", &book.to_string()).expect(201);
}

/// Reads a book's stock, and asserts that the count received is the sum of the others.
pub fn stock_of(client: &mut Client, isbn: &str) -> Stock {
    let book = client.get(&format!("/info/{isbn}")).expect(200).json();
    let number = |name: &str| book[name].as_u64().unwrap_or_else(|| panic!("{name} of {book}"));
    let stock =
        Stock { stock: number("stock"), held: number("held"), sold: number("sold"), received: number("received") };
    assert_eq!(stock.received, stock.stock + stock.held + stock.sold, "{book}");
    stock
}

/// The body of an order of one copy of each book.
pub fn order_of(customer: &str, isbns: &[&str], card: &str) -> String {
    let items: Vec<Value> = isbns.iter().map(|isbn| json!({"isbn": isbn, "quantity": 1})).collect();
    json!({"customer_id": customer, "items": items, "payment": {"card_number": card}}).to_string()
}

/// Places an order.
pub fn place(client: &mut Client, key: &str, body: &str) -> Answer {
    let call = client.call("POST", "/api/orders").header("X-API-Key", KEY).header("Idempotency-Key", key);
    call.json(body).send()
}

/// Places an order, and repeats the request until there is a final answer.
pub fn insist(client: &mut Client, key: &str, body: &str) -> Answer {
    eventually("the order has an answer", || {
        let answer = place(client, key, body);
        let in_flight = answer.status == 409 && answer.json()["type"] == "/problems/in-flight";
        (!in_flight && ![503, 504].contains(&answer.status)).then_some(answer)
    })
}

/// Reads an order.
pub fn order(client: &mut Client, id: &str) -> Value {
    client.call("GET", &format!("/api/orders/{id}")).header("X-API-Key", KEY).send().expect(200).json()
}

/// Waits until no book is held any more.
pub fn settled(store: &Store, isbns: &[&str]) -> Vec<Stock> {
    let mut client = store.client();
    eventually("nothing is held any more", || {
        let stocks: Vec<_> = isbns.iter().map(|isbn| stock_of(&mut client, isbn)).collect();
        stocks.iter().all(|stock| stock.held == 0).then_some(stocks)
    })
}
