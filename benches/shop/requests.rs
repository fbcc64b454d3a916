//! Products, and the requests that buy and find them.

use std::fmt::Write as _;

/// The number of books that are bought, with enough stock for any run.
pub const BOOKS: u64 = 1_000;
/// The number of products of one topic.
const TOPIC_SIZE: u64 = 10;

/// Makes a catalog as JSON lines.
pub fn catalog(products: u64) -> String {
    let mut text = String::new();
    for number in 0..products {
        let topic = number / TOPIC_SIZE;
        writeln!(
            text,
            r#"{{"isbn":"{}","title":"Product {number}","author":"Nobody","topic":"topic {topic}","price":12.10,"stock":1000000000}}"#,
            isbn(number)
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn isbn(number: u64) -> String {
    format!("978-{number:07}")
}

/// One copy of each book, without payment.
pub fn purchases() -> Vec<Vec<u8>> {
    (0..BOOKS).map(|number| post(&format!("/purchase/{}", isbn(number)), "")).collect()
}

/// Paid orders of this many books for each customer.
pub fn orders(customers: u64, books: u64) -> Vec<Vec<u8>> {
    let order = |customer: u64| {
        let items: Vec<_> = (0..books)
            .map(|book| format!(r#"{{"isbn":"{}","quantity":1}}"#, isbn((customer * 7 + book * 131) % BOOKS)))
            .collect();
        let items = items.join(",");
        let payment = r#"{"card_number":"4242424242424242"}"#;
        let body = format!(r#"{{"customer_id":"customer-{customer:07}","items":[{items}],"payment":{payment}}}"#);
        post("/api/orders", &body)
    };
    (0..customers).map(order).collect()
}

/// Searches for every topic.
pub fn searches(products: u64) -> Vec<Vec<u8>> {
    let topics = 0..products.div_ceil(TOPIC_SIZE);
    topics
        .map(|topic| format!("GET /search/topic%20{topic} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes())
        .collect()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let head = "Host: localhost\r\nX-API-Key: secret123\r\nContent-Type: application/json";
    format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
