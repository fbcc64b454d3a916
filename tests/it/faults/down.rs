//! A shard that is down or does not answer: only its own customers are affected.

use std::thread;

use crate::harness::shop::{CARD, Stock, make_book, order_of, place, settled, stock_of};
use crate::harness::{Answer, Client, Setup, Store, eventually, fresh_metrics, offer};

fn add(client: &mut Client, customer: &str) -> Answer {
    client.post(&format!("/item/{customer}/tea"), &offer("1", 1))
}

/// Waits until the facade knows, on each of its workers, that a shard is down.
fn wait_until_down(store: &Store, customer: &str) {
    let mut in_a_row = 0;
    eventually("the facade notices", || {
        let status = store.client().get(&format!("/items/{customer}")).status;
        in_a_row = if status == 503 { in_a_row + 1 } else { 0 };
        (in_a_row >= 8).then_some(())
    });
}

#[test]
fn a_shard_that_is_down_affects_only_its_customers() {
    for setup in [Setup::new(3).durable(), Setup::new(3).durable().tcp()] {
        let mut store = setup.start();
        let customers: Vec<_> = (0..3).map(|shard| store.customer_on(shard, "customer")).collect();
        let mut client = store.client();
        for customer in &customers {
            add(&mut client, customer).expect(201);
        }
        store.shards[1].kill();
        wait_until_down(&store, &customers[1]);
        let path = format!("/items/{}", customers[1]);
        let line = format!("/item/{}/tea", customers[1]);
        for answer in [
            client.get(&path),
            client.delete(&path),
            add(&mut client, &customers[1]),
            client.put(&line, r#"{"newCount":0}"#),
            client.delete(&line),
        ] {
            let answer = answer.expect_problem(503, "");
            assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
        }
        for customer in [&customers[0], &customers[2]] {
            add(&mut client, customer).expect(200);
        }
        client.post(&line, "{}").expect_problem(400, "");
        store.start_shard(1);
        for customer in &customers {
            let expected = if *customer == customers[1] { 2 } else { 3 };
            assert_eq!(add(&mut client, customer).expect(200).json()["itemTotal"], expected);
        }
    }
}

#[test]
fn an_outage_is_logged_once_for_all_workers() {
    let mut store = Setup::new(2).durable().start();
    let log = |store: &Store, text: &str| store.facade.process.log().matches(text).count();
    store.shards[1].kill();
    eventually("the outage is logged", || (log(&store, "the shard is down") > 0).then_some(()));
    store.start_shard(1);
    store.wait_for_shard(1);
    eventually("its end is logged", || (log(&store, "the shard is up again") > 0).then_some(()));
    assert_eq!((log(&store, "the shard is down"), log(&store, "the shard is up again")), (1, 1));
}

#[test]
fn a_store_starts_in_any_order() {
    let mut store = Setup::new(2).durable().start();
    let customers: Vec<_> = (0..2).map(|shard| store.customer_on(shard, "customer")).collect();
    for shard in &mut store.shards {
        shard.kill();
    }
    store.replace_facade();
    let mut client = store.client();
    client.get("/livez").expect(200);
    client.get("/readyz").expect_problem(503, "");
    for shard in [1, 0] {
        let read = client.get(&format!("/items/{}", customers[0])).expect_problem(503, "not reachable");
        assert!(!read.text().contains("nothing was applied"), "a read applies nothing anyhow: {}", read.text());
        add(&mut client, &customers[0]).expect_problem(503, "nothing was applied");
        store.start_shard(shard);
        add(&mut client, &customers[shard]).expect(201);
    }
    client.get("/readyz").expect(200);
}

#[test]
fn readiness_tells_how_many_shards_answer() {
    let mut store = Setup::new(3).durable().start();
    let mut client = store.client();
    let statuses = |client: &mut Client| {
        ["/readyz", "/readyz?shards=1", "/readyz?shards=2", "/readyz?shards=3", "/livez"]
            .map(|path| client.get(path).status)
    };
    assert_eq!(statuses(&mut client), [200; 5]);
    store.shards[2].kill();
    wait_until_down(&store, &store.customer_on(2, "probe"));
    assert_eq!(statuses(&mut client), [503, 200, 200, 503, 200]);
    assert!(client.get("/readyz").expect_problem(503, "").header("retry-after").is_some());
    store.shards[0].kill();
    store.shards[1].kill();
    wait_until_down(&store, &store.customer_on(0, "probe"));
    wait_until_down(&store, &store.customer_on(1, "probe"));
    assert_eq!(statuses(&mut client), [503, 503, 503, 503, 200]);
    for shard in 0..3 {
        store.start_shard(shard);
    }
    assert_eq!(statuses(&mut client), [200; 5]);
    for query in ["shards=0", "shards=4", "shards=", "shards=x", "shards=-1"] {
        client.get(&format!("/readyz?{query}")).expect_problem(400, "shards");
    }
}

#[test]
fn a_command_that_a_silent_shard_did_not_start_in_time_is_never_run() {
    let store = Setup::new(2).durable().start();
    let (silent, other) = (store.customer_on(0, "silent"), store.customer_on(1, "other"));
    add(&mut store.client(), &silent).expect(201);
    let before = store.client().get(&format!("/items/{silent}")).expect(200).text();
    store.shards[0].process().pause();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| add(&mut store.client(), &silent))).collect();
        let mut others = 0;
        while !waiting.iter().all(thread::ScopedJoinHandle::is_finished) {
            others += 1;
            assert_eq!(add(&mut store.client(), &other).status / 100, 2);
            store.client().get(&format!("/items/{other}")).expect(200);
        }
        assert!(others > 0);
        for waiting in waiting {
            let answer = waiting.join().expect("a client failed");
            assert!([503, 504].contains(&answer.status), "{}", answer.text());
        }
    });
    wait_until_down(&store, &silent);
    assert_eq!(store.client().get("/readyz?shards=2").status, 503);
    store.shards[0].process().resume();
    store.wait_for_shard(0);
    // Every message on its way to the shard arrived before these.
    for _ in 0..50 {
        assert_eq!(store.client().get(&format!("/items/{silent}")).expect(200).text(), before);
    }
    assert_eq!(add(&mut store.client(), &silent).expect(200).json()["itemTotal"], 2);
}

/// What the silent shard may hold is left to its own question.
#[test]
fn an_order_of_a_silent_shards_product_is_refused_and_closed_meanwhile() {
    let store = Setup::new(2).durable().start();
    let mut client = store.client();
    let [ours, silent] = [0, 1].map(|shard| store.customer_on(shard, "978-"));
    let customer = store.customer_on(0, "customer");
    [&ours, &silent].into_iter().for_each(|book| make_book(&mut client, book, 5));
    let untouched = Stock { stock: 5, held: 0, sold: 0, received: 5 };
    store.shards[1].process().pause();
    place(&mut client, "k", &order_of(&customer, &[&ours, &silent], CARD))
        .expect_problem(503, "a product's shard could not be asked");
    assert_eq!(stock_of(&mut client, &ours), untouched);
    let closed = "shardcart_shard_records{shard=\"0\",kind=\"open_order\"} 0";
    eventually("it is closed", || fresh_metrics(&mut client).contains(closed).then_some(()));
    store.shards[1].process().resume();
    store.wait_for_shard(1);
    assert_eq!(settled(&store, &[&ours, &silent]), [untouched, untouched]);
}

#[test]
fn a_short_silence_is_not_noticed() {
    let store = Setup::new(1).durable().start();
    add(&mut store.client(), "alice").expect(201);
    store.shards[0].process().pause();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| add(&mut store.client(), "alice"))).collect();
        store.client().get("/livez").expect(200);
        store.shards[0].process().resume();
        for waiting in waiting {
            waiting.join().expect("a client failed").expect(200);
        }
    });
    assert_eq!(store.client().get("/items/alice").expect(200).json()["itemTotal"], 9);
}
