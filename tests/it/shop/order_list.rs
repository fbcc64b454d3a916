//! The list of orders: newest first, page by page, by customer and by status, over what is open and what is closed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::shop::{CARD, KEY, make_book, order_of, place};
use crate::harness::{Action, Answer, Client, Document, Fault, Gateway, Setup, Store, eventually};

const BOOK: &str = "978-1";
const DECLINED: &str = "4242424242420002";

fn get(client: &mut Client, path: &str) -> Answer {
    client.call("GET", path).header("X-API-Key", KEY).send()
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|order| order["order_id"].as_str().expect("an id").to_owned()).collect()
}

/// Reads all pages, following `Link`, which has the cursor of the body.
fn walk(client: &mut Client, first: &str) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let page = get(client, &path).expect(200);
        let cursor = page.json()["next_cursor"].as_str().map(str::to_owned);
        next = page.header("link").map(|link| {
            let path = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect("a link");
            assert!(path.ends_with(&format!("cursor={}", cursor.as_deref().expect("a cursor"))), "{path}");
            path.to_owned()
        });
        assert_eq!(next.is_some(), cursor.is_some());
        found.extend(ids(&page.json()));
    }
    found
}

fn placed(client: &mut Client, key: &str, customer: &str, card: &str, status: u16) -> Option<String> {
    let answer = place(client, key, &order_of(customer, &[BOOK], card)).expect(status);
    (status == 201).then(|| answer.json()["order_id"].as_str().expect("an id").to_owned())
}

/// Three shards, and a customer on each.
fn start() -> (Store, [String; 3]) {
    let store = Setup::new(3).durable().start();
    let customers = [0, 1, 2].map(|shard| store.customer_on(shard, "customer"));
    make_book(&mut store.client(), BOOK, 10_000);
    (store, customers)
}

#[test]
fn orders_are_listed_newest_first_and_by_customer_and_status() {
    let (mut store, customers) = start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    let mut newest_first = Vec::new();
    for number in 0..12 {
        let customer = &customers[number % 3];
        newest_first.extend(placed(&mut client, &format!("k{number}"), customer, CARD, 201));
    }
    let bought = client.post("/purchase/1", "").expect(201).json();
    newest_first.push(bought["order_id"].as_str().expect("an id").to_owned());
    newest_first.reverse();
    placed(&mut client, "declined", &customers[0], DECLINED, 402);
    for limit in [1, 5, 13, 1_000] {
        assert_eq!(walk(&mut client, &format!("/api/orders?status=created&limit={limit}")), newest_first, "{limit}");
    }
    for (number, customer) in customers.iter().enumerate() {
        let path = format!("/api/orders?customer_id={customer}&status=created&limit=2");
        let theirs: Vec<_> = newest_first.iter().skip(1).skip(2 - number).step_by(3).cloned().collect();
        assert_eq!(walk(&mut client, &path), theirs, "{customer}");
    }
    let refused = get(&mut client, "/api/orders?payment_status=refused").expect(200).json();
    assert_eq!((ids(&refused).len(), &refused["items"][0]["status"]), (1, &"refused".into()));
    assert_eq!(walk(&mut client, "/api/orders?status=refused&payment_status=captured"), Vec::<String>::new());
    assert_eq!(ids(&get(&mut client, "/api/orders?customer_id=nobody").expect(200).json()).len(), 0);
    let page = client.call("GET", "/api/orders?limit=2").header("X-API-Key", KEY).send_as_documented(&document);
    let page = page.expect(200).json();
    assert!(page["next_cursor"].as_str().is_some_and(|cursor| cursor.len() > 10), "{page}");
    for order in page["items"].as_array().expect("items") {
        let path = format!("/api/orders/{}", order["order_id"].as_str().expect("an id"));
        assert_eq!(order["items"], get(&mut client, &path).expect(200).json()["items"]);
    }
    (0..3).for_each(|shard| store.restart_shard(shard));
    assert_eq!(walk(&mut store.client(), "/api/orders?status=created&limit=5"), newest_first, "after a restart");
}

#[test]
fn bad_parameters_are_named() {
    let (store, _) = start();
    let mut client = store.client();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "cursor=!",
        "cursor=",
        "cursor=AAAA",
        "status=open",
        "status=",
        "payment_status=paid",
        "customer_id=",
        "customer_id=a&customer_id=b",
    ] {
        let path = format!("/api/orders?{query}");
        get(&mut client, &path).expect_problem(400, query.split('=').next().unwrap());
    }
    get(&mut client, "/api/orders?unknown=1").expect(200);
    client.get("/api/orders").expect_problem(401, "X-API-Key");
}

#[test]
fn an_order_that_is_undecided_is_listed_as_pending() {
    let gateway = Gateway::start();
    let store = Setup::new(2).durable().shard_options(&["--payment", &gateway.url()]).start();
    make_book(&mut store.client(), BOOK, 5);
    gateway.plan(Action::Authorise, Fault::Hold);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| placed(&mut store.client(), "k", "alice", CARD, 201));
        let mut client = store.client();
        let pending = eventually("it is listed", || {
            let page = get(&mut client, "/api/orders?status=pending&customer_id=alice").expect(200).json();
            ids(&page).pop()
        });
        assert_eq!(ids(&get(&mut client, "/api/orders?payment_status=captured").expect(200).json()).len(), 0);
        gateway.release();
        assert_eq!(waiting.join().expect("the customer failed"), Some(pending));
        eventually("it is listed as captured", || {
            let page = get(&mut client, "/api/orders?status=created&payment_status=captured").expect(200).json();
            ids(&page).pop()
        });
        assert_eq!(ids(&get(&mut client, "/api/orders?status=pending").expect(200).json()).len(), 0);
    });
}

#[test]
fn an_order_that_exists_throughout_is_listed_exactly_once() {
    let (store, customers) = start();
    let mut client = store.client();
    let steady: Vec<_> = (0..20)
        .filter_map(|number| placed(&mut client, &format!("s{number}"), &customers[number % 3], CARD, 201))
        .collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = store.client();
            let mut number = 0;
            while !done.load(Ordering::SeqCst) {
                let card = if number % 4 == 0 { DECLINED } else { CARD };
                let status = if number % 4 == 0 { 402 } else { 201 };
                placed(&mut client, &format!("n{number}"), &customers[number % 3], card, status);
                number += 1;
            }
        });
        for _ in 0..15 {
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            let walked = walk(&mut client, "/api/orders?limit=7");
            walked.into_iter().for_each(|id| *seen.entry(id).or_default() += 1);
            assert!(seen.values().all(|times| *times == 1), "{seen:?}");
            assert!(steady.iter().all(|id| seen.contains_key(id)), "{seen:?}");
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_shard_that_is_down_fails_the_list_but_not_that_of_customers_elsewhere() {
    let (mut store, customers) = start();
    let mut client = store.client();
    let theirs = placed(&mut client, "k", &customers[0], CARD, 201);
    store.shards[1].kill();
    eventually("the facade has noticed", || (get(&mut client, "/api/orders").status == 503).then_some(()));
    get(&mut client, "/api/orders").expect_problem(503, "shard 1");
    get(&mut client, &format!("/api/orders?customer_id={}", customers[1])).expect_problem(503, "shard 1");
    assert_eq!(walk(&mut client, &format!("/api/orders?customer_id={}", customers[0])), Vec::from_iter(theirs));
    store.start_shard(1);
    get(&mut client, "/api/orders").expect(200);
}

#[test]
fn a_refused_order_that_is_removed_leaves_the_lists() {
    let store = Setup::new(1).durable().shard_options(&["--keep-refused-orders", "1s"]).start();
    let mut client = store.client();
    make_book(&mut client, BOOK, 5);
    let created = placed(&mut client, "a", "alice", CARD, 201);
    placed(&mut client, "b", "alice", DECLINED, 402);
    for list in ["/api/orders?limit=1", "/api/orders?customer_id=alice"] {
        eventually("it is removed", || (walk(&mut client, list).len() == 1).then_some(()));
        assert_eq!(walk(&mut client, list), Vec::from_iter(created.clone()));
    }
    let body = json!({"id": 2, "quantity": 1, "card": CARD}).to_string();
    let bought = client.put("/buy", &body).expect(200).json();
    assert_eq!(walk(&mut client, "/api/orders?limit=1").first().map(String::as_str), bought["order_id"].as_str());
}
