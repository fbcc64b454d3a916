//! Bad input: each gets a 4xx that names the error, and changes nothing.

use crate::harness::{Client, Setup, Store, offer};

const MAX_BODY_BYTES: usize = 64 << 10;

/// A store with a cart and a value, and their content before the bad input.
struct Untouched {
    store: Store,
    before: Vec<String>,
}

impl Untouched {
    fn new() -> Self {
        let store = Setup::new(1).start();
        store.client().post("/item/alice/tea", &offer("1.50", 2)).expect(201);
        store.client().call("PUT", "/kv/key").body("value").send().expect(201);
        let before = Self::look(&store);
        Untouched { store, before }
    }

    fn look(store: &Store) -> Vec<String> {
        let mut client = store.client();
        let answers = ["/items/alice", "/kv/key", "/items/bob"].map(|path| client.get(path));
        answers.into_iter().map(|answer| format!("{:?} {}", answer.header("etag"), answer.text())).collect()
    }

    fn client(&self) -> Client {
        self.store.client()
    }

    #[track_caller]
    fn check(&self, case: &str) {
        assert_eq!(Self::look(&self.store), self.before, "{case} changed something");
    }
}

/// An addition with other members.
fn addition(price: &str, count: &str) -> String {
    format!(r#"{{"offeredPrice":{price},"itemCount":{count}}}"#)
}

#[test]
fn a_member_of_an_addition_that_is_wrong_is_named() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    let digits = "9".repeat(60_000);
    let fraction = format!("0.{}", "1".repeat(60_000));
    let prices = [
        "null",
        "true",
        "[]",
        "{}",
        "[1]",
        r#""""#,
        r#""abc""#,
        r#"" 1""#,
        r#""1 ""#,
        r#""1,5""#,
        r#""NaN""#,
        r#""Infinity""#,
        r#""0x10""#,
        "-0.01",
        "-1",
        r#""-0.01""#,
        "0.001",
        r#""0.001""#,
        "12.100",
        "1e-3",
        "1e400",
        "-1e400",
        "1e-400",
        "1e99999999999999999999",
        "10000000000",
        "9999999999.999",
        "10000000000.00",
        digits.as_str(),
        fraction.as_str(),
    ];
    for price in prices {
        let case = &price[..price.len().min(40)];
        client.post("/item/alice/tea", &addition(price, "1")).expect_problem(400, "offeredPrice");
        untouched.check(case);
    }
    let counts = [
        "null",
        "true",
        "false",
        "[]",
        "{}",
        r#""1""#,
        "1.0",
        "1e0",
        "1.5",
        "-1",
        "1000001",
        "4294967297",
        "1e400",
        "18446744073709551617",
        digits.as_str(),
    ];
    for count in counts {
        let case = &count[..count.len().min(40)];
        client.post("/item/alice/tea", &addition("1", count)).expect_problem(400, "itemCount");
        client.put("/item/alice/tea", &format!(r#"{{"newCount":{count}}}"#)).expect_problem(400, "newCount");
        untouched.check(case);
    }
    for count in ["0", "-0"] {
        client.post("/item/alice/tea", &addition("1", count)).expect_problem(400, "itemCount");
        untouched.check(count);
    }
}

#[test]
fn several_members_that_are_wrong_are_all_named() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    let answer = client.post("/item/alice/tea", r#"{"offeredPrice":-1,"specialSale":1}"#);
    let problem = answer.expect_problem(400, "several fields are at fault").json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let errors = problem["errors"].as_array().expect("a list").iter();
    let named: Vec<_> = errors.map(|error| [text(&error["field"]), text(&error["code"])]).collect();
    assert_eq!(named, [["offeredPrice", "invalid"], ["specialSale", "invalid"], ["itemCount", "missing"]]);
    untouched.check("several");
    let problem = client.post("/item/alice/tea", r#"{"offeredPrice":1}"#).expect_problem(400, "itemCount").json();
    assert_eq!((&problem["code"], problem.get("errors")), (&"missing".into(), None));
}

#[test]
fn every_body_with_several_members_names_all_that_are_wrong() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    client.post("/catalog/books", r#"{"id":"b","title":"T","price":1,"stock":1}"#).expect(201);
    let order = r#"{"customer_id":7,"items":[{"isbn":"a"},{"isbn":"a","quantity":1},{"quantity":0}],"payment":{"card_number":1}}"#;
    let long = "x".repeat(2_000);
    let product = |id: &str| format!(r#"{{{id}"title":"","author":"{long}","topic":7,"price":-1,"stock":"1"}}"#);
    let rest = ["title", "author", "topic", "price", "stock"];
    let in_order = ["customer_id", "items[0].quantity", "items[2].isbn", "items[2].quantity", "payment.card_number"];
    let patch = "application/merge-patch+json";
    for (method, path, content_type, body, fields) in [
        ("POST", "/api/orders", "application/json", order, &in_order[..]),
        (
            "POST",
            "/checkout/a",
            "application/json",
            r#"{"address":"","acceptPriceChanges":1,"payment":1}"#,
            &["address", "acceptPriceChanges", "payment"],
        ),
        ("PUT", "/buy", "application/json", r#"{"quantity":0,"card":1}"#, &["id", "quantity", "card"]),
        ("PUT", "/replenish", "application/json", "{}", &["id", "quantity"]),
        ("POST", "/api/delivery", "application/json", r#"{"courier":1}"#, &["order_id", "address", "courier"]),
        ("POST", "/catalog/books", "application/json", &product(r#""id":1,"#), &[&["id"], &rest[..]].concat()),
        ("PUT", "/catalog/books/b", "application/json", &product(r#""isbn":"c","#), &[&["isbn"], &rest[..]].concat()),
        ("PUT", "/catalog/books/b", "application/json", "{}", &["title", "price", "stock"]),
        ("PATCH", "/catalog/books/b", "application/json", &product(r#""id":"c","#), &[&["id"], &rest[..]].concat()),
        (
            "PATCH",
            "/catalog/books/b",
            patch,
            r#"{"id":null,"title":null,"price":null,"stock":null}"#,
            &["id", "title", "price", "stock"],
        ),
    ] {
        let call = client.call(method, path).header("X-API-Key", "secret123").header("Content-Type", content_type);
        let problem = call.body(body).send().expect(400).json();
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{path}: {problem}")).iter();
        let named: Vec<_> = errors.map(|error| error["field"].as_str().unwrap_or_default()).collect();
        assert_eq!(named, fields, "{method} {path}");
    }
}

#[test]
fn optional_members_are_checked_too() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    for (member, values) in [
        ("specialSale", &["1", "0", r#""true""#, r#""""#, "[]", "{}", "[true]"][..]),
        (
            "saleExpiration",
            &[
                "1",
                "true",
                "[]",
                "{}",
                r#""""#,
                r#""soon""#,
                r#""2026""#,
                r#""2026-13-01""#,
                r#""2025-02-29""#,
                r#""20261123""#,
                r#""2026-11-23T25:00:00Z""#,
                r#""2026-11-23T10:20""#,
                r#""2026-11-23T10:20:30+99:00""#,
                r#""2026-11-23T10:20:30 Europe/Berlin""#,
                r#""99999-01-01""#,
                r#""-0001-01-01""#,
                "1e400",
            ],
        ),
    ] {
        for value in values {
            let body = format!(r#"{{"offeredPrice":1,"itemCount":1,"{member}":{value}}}"#);
            client.post("/item/alice/tea", &body).expect_problem(400, member);
            untouched.check(&body);
        }
    }
}

#[test]
fn missing_and_duplicate_members_are_named() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    for (body, named) in [
        ("{}", ""),
        (r#"{"offeredPrice":1}"#, "itemCount"),
        (r#"{"itemCount":1}"#, "offeredPrice"),
        (r#"{"OfferedPrice":1,"itemCount":1}"#, "offeredPrice"),
        (r#"{"offeredPrice":1,"offeredPrice":1,"itemCount":1}"#, "offeredPrice"),
        (r#"{"offeredPrice":1,"itemCount":1,"itemCount":2}"#, "itemCount"),
        (r#"{"offeredPrice":1,"itemCount":1,"item\u0043ount":2}"#, "itemCount"),
        (r#"{"offeredPrice":1,"itemCount":1,"x":1,"x":1}"#, "x"),
        (r#"{"offeredPrice":1,"itemCount":1,"x":{"deep":[{"y":1,"y":2}]}}"#, "y"),
        (r#"{"offeredPrice":1,"itemCount":1,"specialSale":false,"specialSale":true}"#, "specialSale"),
    ] {
        client.post("/item/alice/tea", body).expect_problem(400, named);
        untouched.check(body);
    }
    for body in ["{}", r#"{"newCount":1,"newCount":1}"#, r#"{"newcount":1}"#, r#"{"itemCount":1}"#] {
        client.put("/item/alice/tea", body).expect_problem(400, "newCount");
        untouched.check(body);
    }
}

#[test]
fn other_bodies_than_json_objects_are_refused() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    let nested =
        |depth: usize| format!(r#"{{"offeredPrice":1,"itemCount":1,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!(r#"{}1{}"#, r#"{"x":"#.repeat(depth), "}".repeat(depth));
    let (deep, deeper, objects) = (nested(1_000), nested(30_000), objects(10_000));
    let bodies: [&[u8]; 24] = [
        b"",
        b" ",
        b"null",
        b"1",
        b"\"text\"",
        b"[]",
        b"[{}]",
        b"{",
        b"}",
        b"{]",
        b"{\"a\"}",
        b"{'offeredPrice':1}",
        b"{offeredPrice:1}",
        br#"{"offeredPrice":NaN,"itemCount":1}"#,
        br#"{"offeredPrice":-Infinity,"itemCount":1}"#,
        br#"{"offeredPrice":01,"itemCount":1}"#,
        br#"{"offeredPrice":1,"itemCount":1,}"#,
        br#"{"offeredPrice":1,"itemCount":1}{}"#,
        b"\xef\xbb\xbf{\"offeredPrice\":1,\"itemCount\":1}",
        b"{\"offeredPrice\":1,\"itemCount\":1,\"x\":\"\xff\"}",
        b"{\"offeredPrice\":1,\"itemCount\":1,\"\xc3\":1}",
        deep.as_bytes(),
        deeper.as_bytes(),
        objects.as_bytes(),
    ];
    for body in bodies {
        let case = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        for (method, path) in [("POST", "/item/alice/tea"), ("PUT", "/item/alice/tea")] {
            let answer = client.call(method, path).header("Content-Type", "application/json").body(body).send();
            answer.expect_problem(400, "");
            untouched.check(&case);
        }
    }
}

#[test]
fn json_must_be_declared() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp"), Some("json")]
    {
        for (method, body) in [("POST", offer("1", 1)), ("PUT", r#"{"newCount":1}"#.to_owned())] {
            let call = client.call(method, "/item/alice/tea").body(body);
            let call = content_type.into_iter().fold(call, |call, value| call.header("Content-Type", value));
            call.send().expect_problem(415, "Content-Type");
            untouched.check(content_type.unwrap_or("none"));
        }
    }
    let call = client.call("POST", "/item/carol/tea").header("Content-Type", "Application/JSON; charset=UTF-8");
    call.body(offer("1", 1)).send().expect(201);
}

#[test]
fn bad_identifiers_are_named() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    let too_long = "x".repeat(129);
    let too_long_in_bytes = "%C3%A9".repeat(65);
    let bad = [
        "%00",
        "a%00b",
        "%0A",
        "%1f",
        "%7F",
        "%C2%85",
        "%ff",
        "a%C3",
        "%ED%A0%80",
        "%C0%AF",
        "%",
        "a%4",
        "%zz",
        "%u1234",
        too_long.as_str(),
        too_long_in_bytes.as_str(),
    ];
    for id in bad {
        client.get(&format!("/items/{id}")).expect_problem(400, "customerId");
        client.delete(&format!("/items/{id}")).expect_problem(400, "customerId");
        client.post(&format!("/item/{id}/tea"), &offer("1", 1)).expect_problem(400, "customerId");
        client.post(&format!("/item/alice/{id}"), &offer("1", 1)).expect_problem(400, "itemId");
        client.put(&format!("/item/alice/{id}"), r#"{"newCount":1}"#).expect_problem(400, "itemId");
        client.delete(&format!("/item/alice/{id}")).expect_problem(400, "itemId");
        untouched.check(id);
    }
}

#[test]
fn an_idempotency_key_is_one_printable_text() {
    let untouched = Untouched::new();
    let mut client = untouched.client();
    let too_long = "k".repeat(256);
    let asked = [
        ("POST", "/item/alice/tea", offer("1", 1)),
        ("PUT", "/item/alice/tea", r#"{"newCount":9}"#.to_owned()),
        ("DELETE", "/item/alice/tea", String::new()),
        ("DELETE", "/items/alice", String::new()),
    ];
    for keys in [&["one", "two"][..], &["same", "same"], &[""], &[too_long.as_str()], &["ta\tb"], &["Zoë"]] {
        for (method, path, body) in &asked {
            let call = client.call(method, path).json(body);
            let call = keys.iter().fold(call, |call, key| call.header("Idempotency-Key", key));
            call.send().expect_problem(400, "Idempotency-Key");
            untouched.check(keys[0]);
        }
    }
}

#[test]
fn oversized_bodies_get_a_readable_answer() {
    let untouched = Untouched::new();
    let padded = |length: usize| {
        let start = r#"{"offeredPrice":1,"itemCount":1,"x":""#;
        format!("{start}{}\"}}", "x".repeat(length - start.len() - 2))
    };
    for length in [MAX_BODY_BYTES + 1, 200_000, 1 << 20, 2_000_000] {
        for chunked in [false, true] {
            for path in ["/item/alice/tea", "/none"] {
                let mut client = untouched.client();
                let call = client.call("POST", path).json(&padded(length));
                let answer = if chunked { call.chunked() } else { call }.send();
                answer.expect_problem(413, "");
                untouched.check(&format!("{length} bytes, chunked: {chunked}"));
                client.get("/livez").expect(200);
            }
            let mut client = untouched.client();
            let call = client.call("PUT", "/kv/key").body(padded(length));
            if chunked { call.chunked() } else { call }.send().expect_problem(413, "");
            untouched.check("a value");
        }
    }
    let largest = padded(MAX_BODY_BYTES);
    untouched.client().post("/item/carol/tea", &largest).expect(201);
    untouched.client().call("POST", "/item/carol/tea").json(&largest).chunked().send().expect(200);
}

#[test]
fn a_far_too_large_body_is_cut_off_without_harm() {
    let untouched = Untouched::new();
    let digits = addition(&"7".repeat(10_000_000), "1");
    let mut client = untouched.client();
    // The server stops reading, so the connection may break before the client reads the answer.
    if let Ok(answer) = client.call("POST", "/item/alice/tea").json(&digits).try_send() {
        answer.expect_problem(413, "");
    }
    untouched.check("ten million digits");
}
