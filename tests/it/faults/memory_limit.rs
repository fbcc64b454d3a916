//! A shard at its memory limit: what grows is refused, everything else goes on.

use serde_json::json;

use crate::harness::{Setup, offer};

#[test]
fn at_its_memory_limit_a_shard_refuses_what_grows_and_nothing_else() {
    let store = Setup::new(1).durable().shard_options(&["--max-memory", "64KiB"]).start();
    let mut client = store.client();
    client.post("/item/alice/1", &offer("30", 1)).expect(201);
    let full = (0..2_000).find(|customer| {
        let answer = client.post(&format!("/item/c{customer}/tea"), &offer("1", 2));
        if answer.status == 507 { true } else { answer.expect(201).status != 201 }
    });
    let full = full.expect("a limit is reached");
    assert!(full > 50, "{full}");
    client.post("/item/bob/tea", &offer("1", 1)).expect_problem(507, "reads, removals and checkouts go on");
    client.call("PUT", "/kv/key").body("value").send().expect_problem(507, "--max-memory");
    let book = json!({"id": "b", "title": "B", "price": 1, "stock": 1}).to_string();
    client.post("/catalog/books", &book).expect_problem(507, "--max-memory");
    assert_eq!(client.get("/items/c0").expect(200).json()["itemTotal"], 2);
    let title = "T".repeat(512);
    let larger = [("PUT", json!({"title": title, "price": 1, "stock": 1})), ("PATCH", json!({"title": title}))];
    for (method, body) in larger {
        let refused = client.call(method, "/catalog/books/3").json(&body.to_string()).send();
        refused.expect_problem(507, "--max-memory");
    }
    client.call("PATCH", "/catalog/books/3").json(r#"{"title": "T"}"#).send().expect(200);
    client.put("/replenish", r#"{"id": 3, "quantity": 1}"#).expect(200);
    client.call("PUT", "/item/c0/tea").json(r#"{"newCount": 1}"#).send().expect(200);
    client.post("/purchase/2", "").expect(201);
    let card = json!({"payment": {"card_number": "4242424242424242"}}).to_string();
    client.post("/checkout/alice", &card).expect(201);
    for customer in 0..full {
        client.call("DELETE", &format!("/items/c{customer}")).send().expect(200);
    }
    client.post("/item/bob/tea", &offer("1", 1)).expect(201);
}
