//! `Idempotency-Key`: the same key with the same request gives the first answer again.

use crate::harness::{Answer, Client, Setup, all_at_once, eventually, offer};

const CLIENTS: u32 = 64;

fn keyed(client: &mut Client, key: &str, (method, path, body): (&str, &str, &str)) -> Answer {
    client.call(method, path).header("Idempotency-Key", key).json(body).send()
}

/// The parts of an answer that a replay repeats: status, body and tag. A problem names the request that it answers.
fn essence(answer: &Answer) -> (u16, String, Option<String>) {
    let text = answer.text();
    let body = text.split_once(",\"request_id\":").map_or(text.as_str(), |(before, _)| before);
    (answer.status, body.to_owned(), answer.header("etag").map(str::to_owned))
}

#[track_caller]
fn expect_first(answer: Answer, status: u16) -> Answer {
    assert!(!answer.is_replayed(), "{}", answer.text());
    answer.expect(status)
}

#[track_caller]
fn expect_replay(answer: &Answer, of: &Answer) {
    assert_eq!(essence(answer), essence(of));
    assert!(answer.is_replayed());
}

const ADD: (&str, &str, &str) = ("POST", "/item/alice/tea", r#"{"offeredPrice":1.50,"itemCount":2}"#);

#[test]
fn every_change_of_a_cart_is_made_once() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    client.post("/item/alice/jam", &offer("1", 1)).expect(201);
    let changes = [
        (ADD, 201),
        (("POST", "/item/alice/tea", r#"{"offeredPrice":1.50,"itemCount":3}"#), 200),
        (("PUT", "/item/alice/tea", r#"{"newCount":9}"#), 200),
        (("DELETE", "/item/alice/tea", ""), 200),
        (("DELETE", "/items/alice", ""), 200),
    ];
    let firsts: Vec<_> = (0..)
        .zip(changes)
        .map(|(number, (change, status))| expect_first(keyed(&mut client, &format!("key {number}"), change), status))
        .collect();
    client.post("/item/alice/rye", &offer("7", 1)).expect(201);
    let after = client.get("/items/alice").text();
    for ((number, (change, _)), first) in (0..).zip(changes).zip(&firsts) {
        for _ in 0..2 {
            expect_replay(&keyed(&mut client, &format!("key {number}"), change), first);
        }
    }
    assert_eq!(client.get("/items/alice").text(), after);
}

#[test]
fn the_same_request_written_differently_is_the_same() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let first = expect_first(keyed(&mut client, "key", ADD), 201);
    for body in [
        "{ \"itemCount\" : 2,\n \"offeredPrice\": 1.50 }",
        r#"{"offeredPrice":1.50,"item\u0043ount":2}"#,
        r#"{"offeredPrice":1.50,"itemCount":2,"saleExpiration":null}"#,
    ] {
        expect_replay(&keyed(&mut client, "key", (ADD.0, ADD.1, body)), &first);
    }
    expect_replay(&keyed(&mut client, "key", (ADD.0, "/item/alice/t%65a/", ADD.2)), &first);
}

#[test]
fn another_request_with_the_key_gets_422() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let first = expect_first(keyed(&mut client, "key", ADD), 201);
    for other in [
        ("POST", "/item/alice/tea", r#"{"offeredPrice":1.50,"itemCount":3}"#),
        ("POST", "/item/alice/tea", r#"{"offeredPrice":1.51,"itemCount":2}"#),
        ("POST", "/item/alice/tea", r#"{"offeredPrice":1.50,"itemCount":2,"specialSale":true}"#),
        ("POST", "/item/alice/tea", r#"{"offeredPrice":1.50,"itemCount":2,"saleExpiration":"2099-01-01"}"#),
        ("POST", "/item/alice/jam", ADD.2),
        ("PUT", "/item/alice/tea", r#"{"newCount":2}"#),
        ("DELETE", "/item/alice/tea", ""),
        ("DELETE", "/items/alice", ""),
    ] {
        keyed(&mut client, "key", other).expect_problem(422, "Idempotency-Key");
    }
    assert_eq!(client.get("/items/alice").text(), first.text());
    expect_replay(&keyed(&mut client, "key", ADD), &first);
}

#[test]
fn customers_have_their_own_keys_and_spelling_counts() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    for customer in 0..8 {
        expect_first(keyed(&mut client, "key", ("POST", &format!("/item/c{customer}/tea"), ADD.2)), 201);
    }
    for (count, key) in (1..).zip(["KEY", "key ", "k", "k,k", "\"key\"", &"k".repeat(255)]) {
        let status = if count == 1 { 201 } else { 200 };
        let answer = expect_first(keyed(&mut client, key.trim_end(), ADD), status);
        assert_eq!(answer.json()["itemTotal"], 2 * count, "{key}");
    }
}

#[test]
fn a_replay_ignores_if_match() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let tag = client.get("/items/alice").expect(200).etag();
    let conditional = |client: &mut Client, tag: &str| {
        client.call(ADD.0, ADD.1).header("Idempotency-Key", "key").header("If-Match", tag).json(ADD.2).send()
    };
    let first = expect_first(conditional(&mut client, &tag), 201);
    expect_replay(&conditional(&mut client, &tag), &first);
    expect_replay(&conditional(&mut client, "\"none\""), &first);
    expect_replay(&keyed(&mut client, "key", ADD), &first);
}

#[test]
fn refusals_of_the_state_are_kept_and_others_are_not() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let set = ("PUT", "/item/alice/tea", r#"{"newCount":1}"#);
    let absent = expect_first(keyed(&mut client, "absent", set), 404);
    let empty = expect_first(keyed(&mut client, "empty", ("DELETE", "/items/alice", "")), 404);
    client.post("/item/alice/tea", &offer("1", 999_999)).expect(201);
    let full = expect_first(keyed(&mut client, "full", ADD), 409);
    client.put("/item/alice/tea", r#"{"newCount":5}"#).expect(200);
    let before = client.get("/items/alice").text();
    expect_replay(&keyed(&mut client, "absent", set), &absent);
    expect_replay(&keyed(&mut client, "empty", ("DELETE", "/items/alice", "")), &empty);
    expect_replay(&keyed(&mut client, "full", ADD), &full);
    assert_eq!(client.get("/items/alice").text(), before);
    keyed(&mut client, "malformed", (ADD.0, ADD.1, "{}")).expect_problem(400, "");
    expect_first(keyed(&mut client, "malformed", ADD), 200);
    let stale =
        client.call(ADD.0, ADD.1).header("Idempotency-Key", "stale").header("If-Match", "\"none\"").json(ADD.2).send();
    stale.expect_problem(412, "");
    expect_first(keyed(&mut client, "stale", ADD), 200);
}

#[test]
fn a_request_refused_by_a_shard_that_was_down_is_run_again() {
    let mut store = Setup::new(1).durable().start();
    store.shards[0].kill();
    eventually("the shard is known to be down", || {
        let answer = keyed(&mut store.client(), "key", ADD);
        (answer.status == 503).then(|| answer.expect_problem(503, ""))
    });
    store.start_shard(0);
    let answer = keyed(&mut store.client(), "key", ADD);
    assert_eq!(answer.expect(201).json()["itemTotal"], 2);
}

#[test]
fn a_replay_shows_a_sale_as_it_was() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let expiration = jiff::Timestamp::now() + std::time::Duration::from_secs(2);
    let body = format!(r#"{{"offeredPrice":1,"itemCount":1,"specialSale":true,"saleExpiration":"{expiration}"}}"#);
    let first = expect_first(keyed(&mut client, "key", ("POST", "/item/alice/tea", &body)), 201);
    assert_eq!(first.json()["items"][0]["saleActive"], true);
    eventually("the sale ends", || {
        (client.get("/items/alice").json()["items"][0]["saleActive"] == false).then_some(())
    });
    expect_replay(&keyed(&mut client, "key", ("POST", "/item/alice/tea", &body)), &first);
}

#[test]
fn first_answers_survive_kill_9() {
    let mut store = Setup::new(1).durable().start();
    let mut client = store.client();
    let set = ("PUT", "/item/alice/none", r#"{"newCount":1}"#);
    let take = ("DELETE", "/items/alice", "");
    let firsts = [("add", ADD, 201), ("set", set, 404), ("take", take, 200)]
        .map(|(key, change, status)| (key, change, expect_first(keyed(&mut client, key, change), status)));
    for _ in 0..2 {
        store.restart_shard(0);
        for (key, change, first) in &firsts {
            expect_replay(&keyed(&mut client, key, *change), first);
        }
        keyed(&mut client, "add", set).expect_problem(422, "");
        assert_eq!(client.get("/items/alice").expect(200).version(), 0);
    }
    store.replace_facade();
    expect_replay(&keyed(&mut store.client(), "take", take), &firsts[2].2);
}

#[test]
fn of_many_with_one_key_one_is_applied() {
    for setup in [Setup::new(1), Setup::new(1).durable()] {
        let store = setup.start();
        let answers = all_at_once(&store, CLIENTS, |_, mut client| keyed(&mut client, "key", ADD));
        let (being_worked_on, answers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 409);
        for answer in being_worked_on {
            assert_eq!(answer.json()["type"], "/problems/in-flight");
            assert!(answer.header("retry-after").is_some());
        }
        let (replays, firsts): (Vec<_>, Vec<_>) = answers.into_iter().partition(Answer::is_replayed);
        assert_eq!(firsts.len(), 1, "exactly one was the first");
        for replay in replays {
            expect_replay(&replay, &firsts[0]);
        }
        assert_eq!(store.client().get("/items/alice").expect(200).json()["itemTotal"], 2);
    }
}
