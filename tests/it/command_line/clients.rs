//! What the client commands do to a store.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::command::{Program, Said};
use crate::harness::shop::{KEY, make_book, settled, stock_of};
use crate::harness::{Setup, Store};

const BOOK: &str = "9990000000001";

fn run(store: &Store, arguments: &[&str]) -> Said {
    Program::new(store.directory(), arguments).store(&format!("http://{}", store.facade.http[0])).run().expect(0)
}

/// The value beside a label.
fn member<'a>(said: &'a Said, label: &str) -> &'a str {
    let line = said.out.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {label} in {}", said.out)).trim()
}

#[test]
fn from_a_product_to_a_delivery() {
    let store = Setup::new(2).start();
    run(
        &store,
        &["product", "add", BOOK, "--isbn", "--title", "A book", "--price", "12.10", "--stock", "3", "--topic", "t"],
    );
    assert_eq!(member(&run(&store, &["product", "stock", BOOK, "--add", "4"]), "stock"), "7 to be sold");
    let shown = run(&store, &["product", "stock", BOOK, "--set", "5"]);
    assert_eq!(member(&shown, "stock"), "5 to be sold, 0 held for orders, 0 sold, 5 received");
    assert_eq!(run(&store, &["product", "list", "--topic", "t"]).out.lines().count(), 2);
    // The price is the catalog's.
    run(&store, &["cart", "add", "alice", BOOK]);
    run(&store, &["cart", "set", "alice", BOOK, "2"]);
    run(&store, &["cart", "add", "alice", "tea", "--price", "1.5", "--sale", "--until", "2099-01-01"]);
    assert!(run(&store, &["cart", "get", "alice"]).out.contains("2099-01-01T00:00:00Z"));
    let cart = run(&store, &["cart", "remove", "alice", "tea"]);
    assert!(cart.out.contains("total              2  24.20"), "{}", cart.out);
    let order = run(&store, &["cart", "checkout", "alice"]);
    assert_eq!((member(&order, "status"), member(&order, "total")), ("created", "24.20"));
    assert!(order.err.contains("the test card"), "{order:?}");
    // The order is answered before the product's shard is told that its stock is sold.
    assert_eq!(settled(&store, &[BOOK])[0].sold, 2);
    let id = member(&order, "order").to_owned();
    assert!(run(&store, &["order", "list", "--customer", "alice"]).out.contains(&id));
    assert!(run(&store, &["order", "show", &id]).out.contains("STEP"));
    let delivery = run(&store, &["delivery", "schedule", &id, "--address", "1 Main St"]);
    let id = member(&delivery, "delivery").to_owned();
    run(&store, &["delivery", "move", &id, "dispatched"]);
    assert_eq!(member(&run(&store, &["delivery", "show", &id]), "status"), "dispatched");
    let place = run(&store, &["where", "alice"]);
    assert_eq!(member(&place, "shard"), store.shard_of("alice").to_string());
    assert_eq!(run(&store, &["cart", "get", "alice"]).out, "the cart of alice is empty\n");
}

#[test]
fn a_cancelled_order_gives_its_stock_back_and_one_under_way_is_a_conflict() {
    let store = Setup::new(2).start();
    make_book(&mut store.client(), BOOK, 3);
    let ids =
        ["alice", "bob"].map(|customer| member(&run(&store, &["order", "place", customer, BOOK]), "order").to_owned());
    for _ in 0..2 {
        assert_eq!(member(&run(&store, &["order", "cancel", &ids[0]]), "status"), "cancelled");
    }
    assert_eq!(stock_of(&mut store.client(), BOOK).stock, 2);
    assert!(run(&store, &["order", "list", "--status", "cancelled"]).out.contains(&ids[0]));
    let delivery = run(&store, &["delivery", "schedule", &ids[1], "--address", "1 Main St"]);
    run(&store, &["delivery", "move", member(&delivery, "delivery"), "dispatched"]);
    let url = format!("http://{}", store.facade.http[0]);
    Program::new(store.directory(), &["order", "cancel", &ids[1]]).store(&url).run().expect(4);
}

#[test]
fn programs_get_the_bytes_of_the_api() {
    let store = Setup::new(1).start();
    make_book(&mut store.client(), BOOK, 3);
    for (arguments, path) in [
        (&["product", "show", BOOK][..], "/info/9990000000001".to_owned()),
        (&["product", "list", "--limit", "1"], "/catalog/books?limit=1".to_owned()),
        (&["cart", "get", "alice"], "/items/alice".to_owned()),
        (&["order", "list", "--customer", "alice"], "/api/orders?limit=50&customer_id=alice".to_owned()),
        (&["where", "alice"], "/where/alice".to_owned()),
    ] {
        let said = run(&store, &[arguments, &["--json"]].concat());
        let body = store.client().call("GET", &path).header("X-API-Key", KEY).send().expect(200).text();
        assert_eq!(said.out, body + "\n", "{arguments:?}");
    }
    let arguments = ["product", "show", "absent", "--json"];
    let said = Program::new(store.directory(), &arguments).store(&format!("http://{}", store.facade.http[0])).run();
    let problem: Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!((said.status, said.out.as_str(), &problem["code"]), (3, "", &"not_found".into()));
}

#[test]
fn values_go_in_and_out_unchanged() {
    let store = Setup::new(1).start();
    let url = format!("http://{}", store.facade.http[0]);
    let mut put = Program::new(store.directory(), &["kv", "put", "a"]).store(&url);
    let mut child = put.command().stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"two\nlines\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(run(&store, &["kv", "get", "a"]).out, "two\nlines\n");
    assert_eq!(run(&store, &["kv", "put", "a", ""]).out, "a: replaced\n");
    assert_eq!(run(&store, &["kv", "get", "a"]).out, "");
    assert_eq!(run(&store, &["kv", "delete", "a"]).out, "a: deleted\n");
}

#[test]
fn a_write_under_a_key_is_applied_once() {
    let store = Setup::new(1).start();
    for _ in 0..2 {
        let said = run(&store, &["cart", "add", "alice", "tea", "--price", "1", "--idempotency-key", "k"]);
        assert!(said.out.contains("tea        1"), "{}", said.out);
    }
}

#[test]
fn a_card_comes_from_a_file_and_is_shown_nowhere() {
    let store = Setup::new(1).start();
    make_book(&mut store.client(), BOOK, 3);
    let number = "4242424242421234";
    fs::write(store.directory().join("card"), format!("{number}\n12/30\n")).unwrap();
    let said = run(&store, &["order", "place", "alice", BOOK, "--card-file", "card"]);
    assert!(!said.out.contains(number) && said.err.is_empty(), "{said:?}");
    fs::write(store.directory().join("bad"), "42424242424212345 of my card\n").unwrap();
    let bad = ["order", "place", "alice", BOOK, "--card-file", "bad"];
    let said = Program::new(store.directory(), &bad).store(&format!("http://{}", store.facade.http[0])).run().expect(2);
    assert!(said.err.contains("--card-file bad") && !said.err.contains("4242"), "{said:?}");
}
