//! Carts as section 1 of the HTTP contract describes them: requests, responses, order and sums.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Setup, offer};

const MAX_COUNT: u32 = 1_000_000;
const MAX_LINES: usize = 1_000;

fn members(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Item ids and counts in the order of the answer.
fn lines(answer: &Answer) -> Vec<(String, u64)> {
    let cart = answer.json();
    let items = cart["items"].as_array().expect("items is an array");
    items
        .iter()
        .map(|line| (line["itemId"].as_str().unwrap().to_owned(), line["itemCount"].as_u64().unwrap()))
        .collect()
}

/// A decimal number as hundredths, without a float in between.
fn hundredths(text: &str) -> u128 {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 2, "{text} has more than two fraction digits");
    format!("{integer}{fraction:0<2}").parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn add(client: &mut Client, path: &str, price: &str, count: u32) -> Answer {
    client.post(path, &offer(price, count))
}

#[test]
fn a_customer_without_a_cart_has_an_empty_one() {
    let store = Setup::new(1).start();
    let answer = store.client().get("/items/nobody").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let cart = answer.json();
    assert_eq!(members(&cart), ["customerId", "itemTotal", "items", "total", "updatedAt", "version"]);
    assert_eq!((&cart["customerId"], &cart["version"]), (&json!("nobody"), &json!(0)));
    assert_eq!((&cart["items"], &cart["itemTotal"]), (&json!([]), &json!(0)));
    assert_eq!(hundredths(&answer.number("total")), 0);
    answer.etag();
}

#[test]
fn adding_makes_a_line_and_then_adds_to_it() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let first = add(&mut client, "/item/alice/tea", "4.5", 2).expect(201);
    add(&mut client, "/item/alice/jam", "3", 1).expect(201);
    let body = r#"{"offeredPrice":"4.25","itemCount":3,"specialSale":true,"saleExpiration":"2099-01-02","more":[1]}"#;
    let third = client.post("/item/alice/tea", body).expect(200);
    let cart = third.json();
    let tea = json!({
        "itemId": "tea", "offeredPrice": 4.25, "itemCount": 5,
        "specialSale": true, "saleExpiration": "2099-01-02T00:00:00Z", "saleActive": true,
    });
    let jam = json!({
        "itemId": "jam", "offeredPrice": 3.0, "itemCount": 1,
        "specialSale": false, "saleExpiration": null, "saleActive": false,
    });
    assert_eq!(cart["items"], json!([tea, jam]), "the line stays where it was first added");
    assert_eq!((&cart["itemTotal"], hundredths(&third.number("total"))), (&json!(6), 2425));
    assert!(third.version() > first.version());
    assert_ne!(third.etag(), first.etag());
    let updated = cart["updatedAt"].as_str().expect("a time");
    assert!(updated.parse::<jiff::Timestamp>().is_ok() && updated.ends_with('Z'), "{updated}");
    let read = client.get("/items/alice").expect(200);
    assert_eq!((read.text(), read.etag()), (third.text(), third.etag()));
}

#[test]
fn the_newest_offer_replaces_sale_and_expiration() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let sale = r#"{"offeredPrice":1,"itemCount":1,"specialSale":true,"saleExpiration":"2099-01-01T10:20:30"}"#;
    client.post("/item/alice/tea", sale).expect(201);
    let plain = r#"{"offeredPrice":2,"itemCount":1,"specialSale":null,"saleExpiration":null}"#;
    let line = client.post("/item/alice/tea", plain).expect(200).json()["items"][0].clone();
    assert_eq!((&line["specialSale"], &line["saleExpiration"]), (&json!(false), &Value::Null));
    assert_eq!((&line["saleActive"], &line["itemCount"]), (&json!(false), &json!(2)));
}

#[test]
fn a_count_is_set_and_zero_removes_the_line() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.put("/item/alice/tea", r#"{"newCount":1}"#).expect_problem(404, "");
    for item in ["tea", "jam", "rye"] {
        add(&mut client, &format!("/item/alice/{item}"), "1.50", 2).expect(201);
    }
    let set = client.put("/item/alice/jam", r#"{"newCount":1000000}"#).expect(200);
    assert_eq!(lines(&set), [("tea".into(), 2), ("jam".into(), 1_000_000), ("rye".into(), 2)]);
    assert_eq!(hundredths(&set.number("total")), 150 * 1_000_004);
    let removed = client.put("/item/alice/tea", r#"{"newCount":0}"#).expect(200);
    assert_eq!(lines(&removed), [("jam".into(), 1_000_000), ("rye".into(), 2)]);
    assert!(removed.version() > set.version());
    let before = client.get("/items/alice").text();
    for count in [0, 1] {
        client.put("/item/alice/tea", &format!(r#"{{"newCount":{count}}}"#)).expect_problem(404, "");
    }
    assert_eq!(client.get("/items/alice").text(), before);
    let back = add(&mut client, "/item/alice/tea", "1", 1).expect(201);
    assert_eq!(lines(&back).last(), Some(&("tea".into(), 1)), "a line that comes back is a new one");
}

#[test]
fn a_line_is_deleted_once() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.delete("/item/alice/tea").expect_problem(404, "");
    add(&mut client, "/item/alice/tea", "1", 1).expect(201);
    add(&mut client, "/item/alice/jam", "2", 3).expect(201);
    assert_eq!(lines(&client.delete("/item/alice/tea").expect(200)), [("jam".into(), 3)]);
    client.delete("/item/alice/tea").expect_problem(404, "");
    let empty = client.delete("/item/alice/jam").expect(200);
    assert_eq!((lines(&empty), hundredths(&empty.number("total"))), (vec![], 0));
    assert_eq!(lines(&client.get("/items/alice").expect(200)), []);
}

#[test]
fn checkout_answers_with_what_it_removed() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.delete("/items/alice").expect_problem(404, "");
    add(&mut client, "/item/alice/tea", "0.10", 3).expect(201);
    let cart = add(&mut client, "/item/alice/jam", "2.01", 1).expect(201).json();
    let receipt = client.delete("/items/alice").expect(200);
    let body = receipt.json();
    assert_eq!(body["items"], cart["items"]);
    assert_eq!((&body["itemTotal"], hundredths(&receipt.number("total"))), (&json!(4), 231));
    let time = body["checkedOutAt"].as_str().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
    assert_eq!(lines(&client.get("/items/alice").expect(200)), []);
    client.delete("/items/alice").expect_problem(404, "");
    client.delete("/item/alice/tea").expect_problem(404, "");
}

#[test]
fn customers_share_nothing() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let customers: Vec<_> = (0..16).map(|number| format!("customer-{number}")).collect();
    for (count, customer) in (1..).zip(&customers) {
        add(&mut client, &format!("/item/{customer}/tea"), "1", count).expect(201);
    }
    for (count, customer) in (1..).zip(&customers) {
        let cart = client.get(&format!("/items/{customer}")).expect(200);
        assert_eq!(cart.json()["customerId"], json!(customer));
        assert_eq!(lines(&cart), [("tea".into(), count)]);
    }
}

#[test]
fn money_is_read_back_exactly() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let prices = [
        ("12.10", 1210),
        (r#""12.10""#, 1210),
        ("0.1", 10),
        ("0", 0),
        ("0.00", 0),
        ("7", 700),
        ("9.99", 999),
        ("1e2", 10_000),
        ("8.41", 841),
        ("9007199254.01", 900_719_925_401),
        ("9999999999.99", 999_999_999_999),
        (r#""9999999999.99""#, 999_999_999_999),
    ];
    for (number, (price, expected)) in prices.into_iter().enumerate() {
        let cart = add(&mut client, &format!("/item/c{number}/tea"), price, 1).expect(201);
        assert_eq!(hundredths(&cart.number("offeredPrice")), expected, "{price}");
        assert_eq!(hundredths(&cart.number("total")), expected, "{price}");
    }
    for (item, price, count) in [("a", "0.10", 1), ("b", "0.20", 1), ("c", "1.10", 3)] {
        add(&mut client, &format!("/item/sum/{item}"), price, count).expect(201);
    }
    assert_eq!(hundredths(&client.get("/items/sum").number("total")), 360);
}

#[test]
fn the_greatest_cart_is_exact_and_takes_no_more() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for number in 0..MAX_LINES {
        let cart = add(&mut client, &format!("/item/alice/i{number}"), "9999999999.99", MAX_COUNT).expect(201);
        assert_eq!(cart.number("itemTotal"), (u64::from(MAX_COUNT) * (number as u64 + 1)).to_string());
    }
    let full = client.get("/items/alice").expect(200);
    assert_eq!(hundredths(&full.number("total")), 999_999_999_999 * 1_000_000 * MAX_LINES as u128);
    let expected: Vec<_> = (0..MAX_LINES).map(|number| (format!("i{number}"), u64::from(MAX_COUNT))).collect();
    assert_eq!(lines(&full), expected);
    add(&mut client, "/item/alice/one-more", "1", 1).expect_problem(409, "");
    add(&mut client, "/item/alice/i7", "1", 1).expect_problem(409, "itemCount");
    assert_eq!(client.get("/items/alice").text(), full.text());
    client.put("/item/alice/i0", r#"{"newCount":0}"#).expect(200);
    add(&mut client, "/item/alice/one-more", "1", 1).expect(201);
    assert_eq!(lines(&client.delete("/items/alice").expect(200)).len(), MAX_LINES);
}

#[test]
fn a_count_stops_at_a_million() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    add(&mut client, "/item/alice/tea", "1", 999_998).expect(201);
    let before = client.get("/items/alice");
    add(&mut client, "/item/alice/tea", "2", 3).expect_problem(409, "itemCount");
    assert_eq!(client.get("/items/alice").text(), before.text());
    let most = add(&mut client, "/item/alice/tea", "2", 2).expect(200);
    assert_eq!(lines(&most), [("tea".into(), 1_000_000)]);
    add(&mut client, "/item/alice/tea", "2", MAX_COUNT).expect_problem(409, "itemCount");
    assert_eq!(client.get("/items/alice").text(), most.text());
}

#[test]
fn versions_only_grow() {
    let mut store = Setup::new(1).durable().start();
    let mut newest = 0;
    for round in 0..3 {
        let mut client = store.client();
        let mut versions = vec![add(&mut client, "/item/alice/tea", "1", 1).expect(201).version()];
        versions.push(add(&mut client, "/item/alice/tea", "1", 1).expect(200).version());
        versions.push(client.put("/item/alice/tea", r#"{"newCount":9}"#).expect(200).version());
        client.delete("/items/alice").expect(200);
        versions.push(add(&mut client, "/item/alice/tea", "1", 1).expect(201).version());
        assert_eq!(client.delete("/item/alice/tea").expect(200).version(), 0, "an absent cart");
        for version in versions {
            assert!(version > newest, "round {round}: {version} after {newest}");
            newest = version;
        }
        store.restart_shard(0);
        assert_eq!(store.client().get("/items/alice").expect(200).version(), 0);
    }
}
