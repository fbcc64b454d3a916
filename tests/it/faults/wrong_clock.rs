//! A system clock that is wrong when a shard starts.

use jiff::Timestamp;

use crate::harness::{Answer, Client, Setup, offer, wrong_clock};

/// Longer than a stored answer lives.
const AHEAD_S: u64 = 25 * 60 * 60;

fn add(client: &mut Client, key: &str) -> Answer {
    client.call("POST", "/item/alice/tea").header("Idempotency-Key", key).json(&offer("1", 1)).send()
}

#[test]
fn a_clock_that_is_ahead_at_a_restart_ends_no_idempotency_key() {
    let mut store = Setup::new(1).durable().start();
    let mut client = store.client();
    let first = add(&mut client, "right").expect(201).text();
    store.restart_shard_in(0, wrong_clock::ahead(store.directory(), AHEAD_S));
    let cart = add(&mut client, "wrong").expect(200);
    let updated: Timestamp = cart.json()["updatedAt"].as_str().unwrap().parse().unwrap();
    let ahead = updated.as_second() - Timestamp::now().as_second();
    assert!(ahead > 24 * 60 * 60, "the shard has another clock: {ahead} s");
    for _ in 0..2 {
        let again = add(&mut client, "right");
        assert!(again.is_replayed() && again.text() == first, "{again:?}");
        let again = add(&mut client, "wrong");
        assert!(again.is_replayed() && again.text() == cart.text(), "{again:?}");
        // The clock is right again.
        store.restart_shard(0);
    }
    assert_eq!(client.get("/items/alice").expect(200).json()["itemTotal"], 2);
}
