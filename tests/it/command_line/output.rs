//! Output for people: within 80 columns, without colours where no terminal is, and no harm when nobody reads it.

use std::process::Stdio;

use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use crate::harness::command::Program;
use crate::harness::shop::{KEY, make_book, order_of};
use crate::harness::{Setup, Store, offer};

const COLUMNS: usize = 80;

/// A store with ids and titles as long as they may be, of narrow and wide characters.
fn store_of_long_names() -> (Store, String) {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let (long, wide) = ("x".repeat(128), "%E6%97%A5".repeat(40));
    for item in [long.as_str(), &wide, "9990000000001"] {
        client.post(&format!("/item/{long}/{item}"), &offer("9999999999.99", 1_000_000)).expect(201);
    }
    let title = "日本語 and a long title ".repeat(9);
    let product = json!({"id": "y".repeat(128), "title": title, "price": 9_999_999_999.99_f64, "stock": 1_000_000_000,
        "author": "日本語 author", "topic": "t"});
    client.post("/catalog/books", &product.to_string()).expect(201);
    make_book(&mut client, "9990000000001", 9);
    let order = order_of(&long, &["9990000000001"], "4242424242420259");
    let order = client.call("POST", "/api/orders").header("X-API-Key", KEY).json(&order).send().expect(201);
    let id = order.json()["order_id"].as_str().unwrap().to_owned();
    (store, id)
}

#[test]
fn every_table_fits_a_terminal_and_controls_nothing() {
    let (store, order) = store_of_long_names();
    let (long, id) = ("x".repeat(128), "y".repeat(128));
    for arguments in [
        &["cart", "get", &long][..],
        &["product", "list"],
        &["product", "show", &id],
        &["order", "list"],
        &["order", "show", &order],
        &["where", &long],
        &["status"],
        &["doctor"],
        &["bench", "--seconds", "1", "--connections", "1"],
    ] {
        let said = Program::new(store.directory(), arguments).store(&format!("http://{}", store.facade.http[0])).run();
        // A doctor may find something on the machine of a test, and a store that has just begun has no figures.
        assert!(said.status == 0 || ["doctor", "status"].contains(&arguments[0]), "{said:?}");
        for line in said.out.lines() {
            assert!(line.width() <= COLUMNS, "{arguments:?}: {} columns: {line}", line.width());
        }
        assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{arguments:?}: {}", said.out);
    }
    let shown = Program::new(store.directory(), &["order", "list"]).store(&format!("http://{}", store.facade.http[0]));
    assert!(shown.run().out.contains(&order), "ids are whole");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let store = Setup::new(1).start();
    let arguments = ["product", "list", "--url", &format!("http://{}", store.facade.http[0])];
    let mut program = Program::new(store.directory(), &arguments);
    let mut child = program.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
