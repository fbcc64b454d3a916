//! The fields at fault in problems: one in `field`, several in `errors`.

use serde_json::Value;

use crate::harness::{Setup, offer};

/// The fields that a problem names.
fn named(problem: &Value) -> Vec<&str> {
    match problem["errors"].as_array() {
        Some(errors) => errors.iter().map(|error| error["field"].as_str().unwrap_or_default()).collect(),
        None => problem["field"].as_str().into_iter().collect(),
    }
}

#[test]
fn every_parameter_of_a_query_that_is_wrong_is_named() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for (path, fields) in [
        (
            "/api/orders?status=bogus&limit=0&payment_status=x&customer_id=%00&cursor=!",
            &["customer_id", "status", "payment_status", "cursor", "limit"][..],
        ),
        ("/api/orders?limit=1&limit=2&status=", &["status", "limit"]),
        ("/api/orders?status=bogus", &["status"]),
        ("/catalog/books?limit=0&cursor=!&topic=", &["topic", "limit", "cursor"]),
        ("/search/%00?limit=0", &["topic", "limit"]),
        ("/api/books?cursor=!&limit=x", &["limit", "cursor"]),
    ] {
        let answer = client.call("GET", path).header("X-API-Key", "secret123").send();
        assert_eq!(named(&answer.expect_problem(400, fields[0]).json()), fields, "{path}");
    }
}

#[test]
fn the_field_at_fault_is_named_whatever_the_status() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.post("/item/alice/tea", &offer("1", 1_000_000)).expect(201);
    let order = r#"{"customer_id":"a","items":[{"isbn":"9780143127550","quantity":1}]}"#;
    let too_many = order.replace(":1}", ":1000000},{\"isbn\":\"9780143127550\",\"quantity\":1}");
    let delivery = r#"{"order_id":"none","address":"here"}"#;
    let long = format!("\"{}\"", "x".repeat(70_000));
    for (method, path, content_type, body, status, field) in [
        ("POST", "/catalog/books", "application/json", r#"{"id":"1","title":"a","price":1,"stock":1}"#, 409, "id"),
        ("POST", "/item/alice/tea", "application/json", &offer("1", 1), 409, "itemCount"),
        ("POST", "/api/orders", "application/json", &too_many, 409, "items"),
        ("POST", "/api/orders", "application/json", order, 402, "payment"),
        ("POST", "/api/delivery", "application/json", delivery, 404, "order_id"),
        ("POST", "/item/alice/tea", "application/json", &long, 413, "body"),
        ("POST", "/item/alice/tea", "text/plain", "{}", 415, "Content-Type"),
        ("PATCH", "/catalog/books/1", "application/json-patch+json", r#"{"title":"b"}"#, 415, "Content-Type"),
        ("PUT", "/item/alice/tea", "application/json", r#"{"newCount":1,"newCount":1}"#, 400, "newCount"),
    ] {
        let call = client.call(method, path).header("X-API-Key", "secret123").header("Content-Type", content_type);
        let problem = call.body(body).send().expect_problem(status, field).json();
        assert_eq!(named(&problem), [field], "{method} {path}");
    }
    assert_eq!(named(&client.get("/api/books").expect_problem(401, "").json()), ["X-API-Key"]);
    assert_eq!(named(&client.get("/nosuch").expect_problem(404, "").json()), [""; 0]);
}
