//! Deliveries of created orders, and the moves between their statuses.

use serde_json::{Value, json};

use crate::harness::shop::{CARD, KEY, order_of, place};
use crate::harness::{Answer, Client, Document, Gateway, Setup, Store};

const ODYSSEY: &str = "9780140449136";

fn start() -> (Store, Client, Document, String) {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    let order = place(&mut client, "k", &order_of("alice", &[ODYSSEY], CARD)).expect(201);
    let order = order.json()["order_id"].as_str().expect("an id").to_owned();
    (store, client, document, order)
}

fn create(client: &mut Client, document: &Document, body: &Value) -> Answer {
    let call = client.call("POST", "/api/delivery").header("X-API-Key", KEY);
    call.json(&body.to_string()).send_as_documented(document)
}

fn move_to(client: &mut Client, document: &Document, path: &str, status: &str) -> Answer {
    let call = client.call("PATCH", path).header("X-API-Key", KEY);
    call.json(&json!({"status": status}).to_string()).send_as_documented(document)
}

#[test]
fn a_delivery_moves_to_delivered_or_cancelled() {
    let (_store, mut client, document, order) = start();
    let body = json!({"order_id": order, "address": "1 Main St\nTown"});
    let created = create(&mut client, &document, &body).expect(201);
    let delivery = created.json();
    assert_eq!((&delivery["courier"], &delivery["status"]), (&"local".into(), &"scheduled".into()));
    let path = created.header("location").expect("a location").to_owned();
    let read = client.call("GET", &path).header("X-API-Key", KEY).send_as_documented(&document).expect(200);
    assert_eq!((read.json(), read.etag()), (delivery, created.etag()));
    let stale = client.call("GET", &path).header("X-API-Key", KEY).header("If-None-Match", &read.etag());
    stale.send_as_documented(&document).expect(304);
    for refused in ["delivered", "scheduled"] {
        move_to(&mut client, &document, &path, refused).expect_problem(409, "status");
    }
    move_to(&mut client, &document, &path, "lost").expect_problem(400, "status");
    assert_eq!(move_to(&mut client, &document, &path, "dispatched").expect(200).json()["status"], "dispatched");
    let call = client.call("PATCH", &path).header("X-API-Key", KEY).header("If-Match", &read.etag());
    call.json(r#"{"status": "delivered"}"#).send_as_documented(&document).expect(412);
    move_to(&mut client, &document, &path, "delivered").expect(200);
    for refused in ["scheduled", "dispatched", "delivered", "cancelled"] {
        move_to(&mut client, &document, &path, refused).expect(409);
    }
    let other = create(&mut client, &document, &json!({"order_id": order, "address": "x", "courier": "bike"}));
    let other = other.expect(201).header("location").expect("a location").to_owned();
    move_to(&mut client, &document, &other, "cancelled").expect(200);
    move_to(&mut client, &document, &other, "dispatched").expect(409);
}

#[test]
fn only_created_orders_have_deliveries() {
    let gateway = Gateway::start();
    let store = Setup::new(2).shard_options(&["--payment", &gateway.url()]).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    gateway.plan(crate::harness::Action::Authorise, crate::harness::Fault::Refuse);
    place(&mut client, "k", &order_of("alice", &[ODYSSEY], CARD)).expect(402);
    let refused = gateway.payments().into_keys().next().expect("the gateway was asked");
    let body = json!({"order_id": refused, "address": "x"});
    create(&mut client, &document, &body).expect_problem(409, "refused");
    for (body, status, mentions) in [
        (json!({"order_id": "none", "address": "x"}), 404, "order"),
        (json!({"order_id": "01a2097f-3aea-8432-ba84-bc6d0ef2305e", "address": "x"}), 404, "order"),
        (json!({"address": "x"}), 400, "order_id"),
        (json!({"order_id": refused}), 400, "address"),
        (json!({"order_id": refused, "address": " "}), 400, "address"),
        (json!({"order_id": refused, "address": "x".repeat(1_025)}), 400, "address"),
        (json!({"order_id": refused, "address": "x", "courier": ""}), 400, "courier"),
        (json!({"order_id": 7, "address": "x"}), 400, "order_id"),
    ] {
        create(&mut client, &document, &body).expect_problem(status, mentions);
    }
    let unknown = "/api/delivery/01a2097f-3aea-8432-ba84-bc6d0ef2305e";
    client.call("GET", unknown).header("X-API-Key", KEY).send().expect_problem(404, "no such delivery");
    move_to(&mut client, &document, "/api/delivery/none", "dispatched").expect(404);
    client.call("GET", unknown).send().expect_problem(401, "X-API-Key");
    client.call("PUT", unknown).header("X-API-Key", KEY).send().expect_problem(405, "PATCH");
    client.call("GET", "/api/delivery").header("X-API-Key", KEY).send().expect_problem(405, "POST");
}

#[test]
fn a_pending_order_has_no_delivery() {
    let gateway = Gateway::start();
    let store = Setup::new(2).shard_options(&["--payment", &gateway.url()]).start();
    let document = Document::of(&mut store.client());
    gateway.plan(crate::harness::Action::Authorise, crate::harness::Fault::Hold);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| place(&mut store.client(), "k", &order_of("alice", &[ODYSSEY], CARD)).status);
        let mut client = store.client();
        let pending = crate::harness::eventually("the order is stored", || {
            let page = client.call("GET", "/api/orders?status=pending").header("X-API-Key", KEY).send().expect(200);
            page.json()["items"][0]["order_id"].as_str().map(str::to_owned)
        });
        let body = json!({"order_id": pending, "address": "x"});
        let refused = create(&mut client, &document, &body).expect_problem(409, "pending");
        assert_eq!(refused.json()["code"], "order_not_created");
        gateway.release();
        assert_eq!(waiting.join().expect("the customer failed"), 201);
        create(&mut client, &document, &body).expect(201);
    });
}

#[test]
fn a_delivery_is_made_once_and_is_there_after_a_restart() {
    let mut store = Setup::new(1).durable().start();
    let mut client = store.client();
    let order = place(&mut client, "k", &order_of("alice", &[ODYSSEY], CARD)).expect(201).json();
    let body = json!({"order_id": order["order_id"], "address": "x"}).to_string();
    let keyed = |client: &mut Client| {
        let call = client.call("POST", "/api/delivery").header("X-API-Key", KEY).header("Idempotency-Key", "d");
        call.json(&body).send().expect(201)
    };
    let first = keyed(&mut client);
    store.restart_shard(0);
    let again = keyed(&mut client);
    assert!(again.is_replayed());
    assert_eq!(again.json(), first.json());
    let path = first.header("location").expect("a location").to_owned();
    let read = client.call("GET", &path).header("X-API-Key", KEY).send().expect(200);
    assert_eq!(read.json(), first.json());
}

#[test]
fn a_delivery_is_created_only_of_the_order_that_the_caller_has_seen() {
    let (_store, mut client, document, order) = start();
    let path = format!("/api/orders/{order}");
    let mut tag = || {
        let call = client.call("GET", &path).header("X-API-Key", KEY);
        call.send_as_documented(&document).expect(200)
    };
    let tag = crate::harness::eventually("the order is closed", || {
        let order = tag();
        (order.json()["payment_status"] == "captured").then(|| order.etag())
    });
    let body = json!({"order_id": order, "address": "1 Main St"}).to_string();
    let mut create = |tag: &str| {
        let call = client.call("POST", "/api/delivery").header("X-API-Key", KEY).header("If-Match", tag);
        call.json(&body).send_as_documented(&document)
    };
    create("\"1\"").expect(412);
    create(&tag).expect(201);
}
