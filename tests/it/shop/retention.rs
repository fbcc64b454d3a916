//! What is removed because it is old: carts that nobody touches, and refused orders.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::shop::{CARD, KEY};
use crate::harness::{Client, Setup, eventually, fresh_metrics, offer};

fn metric(client: &mut Client, name: &str) -> u64 {
    let text = fresh_metrics(client);
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_cart_that_nobody_touches_is_removed() {
    let mut store = Setup::new(1).durable().shard_options(&["--cart-ttl", "2s"]).start();
    let mut client = store.client();
    let started = Instant::now();
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    eventually("it is removed", || {
        client.post("/item/bob/tea", &offer("1", 1));
        (client.get("/items/alice").expect(200).version() == 0).then_some(())
    });
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert!(
        client.get("/items/bob").expect(200).json()["itemTotal"].as_u64() > Some(1),
        "bob's is touched all the time"
    );
    assert!(metric(&mut client, "shardcart_shard_carts_removed_total") >= 1);
    store.restart_shard(0);
    store.wait_for_shard(0);
    assert_eq!(client.get("/items/alice").expect(200).version(), 0);
}

#[test]
fn a_refused_order_is_removed_and_its_idempotency_key_is_not() {
    let store = Setup::new(1).durable().shard_options(&["--keep-refused-orders", "1s"]).start();
    let mut client = store.client();
    let mut order = |key: &str, card: &str| {
        let body = json!({"id": 2, "quantity": 1, "card": card}).to_string();
        client.call("PUT", "/buy").header("Idempotency-Key", key).json(&body).send()
    };
    let created = order("b", "4242424242424242").expect(200).json()["order_id"].as_str().unwrap().to_owned();
    let refused = order("a", "4242424242420002").expect(402);
    let mut other = store.client();
    eventually("the refused one is removed", || {
        (metric(&mut other, "shardcart_shard_orders_removed_total") == 1).then_some(())
    });
    let again = order("a", "4242424242420002").expect(402);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json()["detail"], refused.json()["detail"]);
    let path = format!("/api/orders/{created}");
    other.call("GET", &path).header("X-API-Key", "secret123").send().expect(200);
}

/// The number of Alice's orders.
fn orders(client: &mut Client) -> u64 {
    let path = "/api/orders?customer_id=alice&limit=100";
    let list = client.call("GET", path).header("X-API-Key", KEY).send().expect(200).json();
    list["items"].as_array().unwrap().len() as u64
}

#[test]
fn the_oldest_refused_orders_are_removed_past_their_bytes_and_after_a_restart_too() {
    const ORDERS: u64 = 20;
    let mut store = Setup::new(2).durable().shard_options(&["--refused-orders-size", "32KiB"]).start();
    assert_eq!(store.shard_of("alice"), 0);
    let mut client = store.client();
    for line in 0..20 {
        client.post(&format!("/item/alice/{line:0128}"), &offer("1", 1));
    }
    // Nobody sells these, and they are of both shards, so that the order is kept when it is refused.
    let body = json!({"payment": {"card_number": CARD}}).to_string();
    let refused = |client: &mut Client, key: u64| {
        let call = client.call("POST", "/checkout/alice").header("Idempotency-Key", &key.to_string());
        call.json(&body).send().expect_problem(409, "0000")
    };
    for key in 0..ORDERS {
        assert_eq!(refused(&mut client, key).header("idempotency-replayed"), None);
    }
    let kept = eventually("the oldest are removed", || {
        let removed = metric(&mut client, "shardcart_shard_orders_removed_total");
        (removed > 0).then(|| (orders(&mut client), removed)).filter(|(kept, removed)| kept + removed == ORDERS)
    });
    let (kept, _) = kept;
    assert!((3..ORDERS).contains(&kept), "{kept} orders");
    assert_eq!(refused(&mut client, 0).header("idempotency-replayed"), Some("true"), "its key keeps its answer");
    store.restart_shard(0);
    store.wait_for_shard(0);
    for key in ORDERS..ORDERS + 2 {
        refused(&mut client, key);
    }
    eventually("those of before count as well", || {
        let removed = metric(&mut client, "shardcart_shard_orders_removed_total");
        (removed == 2 && orders(&mut client) == kept).then_some(())
    });
}
