//! Something that was there is gone: that is never taken for a store that has nothing.

use std::fs;

use crate::harness::shop::{make_book, stock_of};
use crate::harness::{Setup, eventually, offer};

#[test]
fn a_socket_that_is_gone_makes_nobody_a_new_customer() {
    let mut store = Setup::new(2).durable().start();
    let (here, gone) = (store.customer_on(0, "customer"), store.customer_on(1, "customer"));
    let book = store.customer_on(1, "978-");
    make_book(&mut store.client(), &book, 3);
    for customer in [&here, &gone] {
        store.client().post(&format!("/item/{customer}/tea"), &offer("1", 1)).expect(201);
    }
    fs::remove_file(store.directory().join("shard-1/sock")).unwrap();
    // The sessions that are open go on.
    assert_eq!(store.client().get(&format!("/items/{gone}")).expect(200).json()["itemTotal"], 1);
    // A new facade cannot open one: it answers for the other shard, and gives no empty cart and no short list.
    let facade = store.another_facade("second", &store.addresses());
    let mut client = facade.client();
    eventually("the other shard answers", || (client.get(&format!("/items/{here}")).status == 200).then_some(()));
    client.get(&format!("/items/{gone}")).expect_problem(503, "");
    client.post(&format!("/item/{gone}/tea"), &offer("1", 1)).expect_problem(503, "nothing was applied");
    client.get(&format!("/info/{book}")).expect_problem(503, "");
    client.get("/catalog/books").expect_problem(503, "");
    client.get("/readyz").expect(503);
    // A start makes the socket anew.
    store.restart_shard(1);
    assert_eq!(store.client().get(&format!("/items/{gone}")).expect(200).json()["itemTotal"], 1);
    assert_eq!(stock_of(&mut store.client(), &book).stock, 3);
    eventually("the new facade finds it", || (client.get(&format!("/items/{gone}")).status == 200).then_some(()));
}

#[test]
fn a_key_file_that_is_gone_does_not_open_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("keys.json");
    let store = Setup::new(1).start();
    let args = ["facade", "--http", "127.0.0.1:0", "--kv", "127.0.0.1:0", "--shards", &store.addresses()[0], "--data"];
    let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
    args.extend([directory.path().display().to_string(), "--api-keys".into(), missing.display().to_string()]);
    let Err((status, log)) = crate::harness::Process::try_start("without-keys", directory.path(), &args) else {
        panic!("it starts without its keys")
    };
    assert!(!status.success() && log.contains("keys.json"), "{log}");
}
