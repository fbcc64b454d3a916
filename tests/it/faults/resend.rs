//! Resends of the facade after a lost reply: it repeats reads and requests with an `Idempotency-Key`, and nothing else.
//! A proxy between the facade and its shard loses requests or replies on demand.

use std::io;
use std::thread::{self, ScopedJoinHandle};

use crate::harness::proxy::Mode;
use crate::harness::{Answer, Client, Facade, Proxy, Random, Setup, Store, eventually, offer};

/// A store whose shard is reached through a proxy by one facade and directly by another.
struct Wired {
    store: Store,
    proxy: Proxy,
    proxied: Facade,
}

impl Wired {
    fn new() -> Self {
        let store = Setup::new(1).tcp().start();
        let proxy = Proxy::start(&store.addresses()[0]);
        let proxied = store.another_facade("proxied", &[proxy.address()]);
        let wired = Wired { store, proxy, proxied };
        wired.wait_until_connected();
        wired
    }

    /// Waits until the proxied facade has a session on each of its workers.
    fn wait_until_connected(&self) {
        let mut in_a_row = 0;
        eventually("the proxied facade is connected", || {
            in_a_row = if self.proxied.client().get("/items/probe").status == 200 { in_a_row + 1 } else { 0 };
            (in_a_row >= 8).then_some(())
        });
    }

    /// The count in the cart, read past the proxy.
    fn count(&self, customer: &str) -> u64 {
        let cart = self.store.client().get(&format!("/items/{customer}")).expect(200);
        cart.json()["itemTotal"].as_u64().expect("a count")
    }

    fn wait_for_count(&self, customer: &str, count: u64) {
        eventually("the change is applied", || (self.count(customer) == count).then_some(()));
    }

    fn wait_until_held(&self, text: &str) {
        eventually("the request is held back", || self.proxy.holds(text).then_some(()));
    }
}

fn add(client: &mut Client, customer: &str, key: Option<&str>) -> io::Result<Answer> {
    let path = format!("/item/{customer}/tea");
    let call = client.call("POST", &path);
    let call = key.into_iter().fold(call, |call, key| call.header("Idempotency-Key", key));
    call.json(&offer("1", 1)).try_send()
}

/// Sends an addition through the proxy and, before it is answered, does something else.
fn add_while(wired: &Wired, customer: &str, key: Option<&str>, meanwhile: impl FnOnce()) -> Answer {
    thread::scope(|scope| {
        let adding: ScopedJoinHandle<_> = scope.spawn(|| add(&mut wired.proxied.client(), customer, key));
        meanwhile();
        adding.join().expect("the client failed").expect("an answer")
    })
}

#[test]
fn a_lost_reply_to_a_change_is_an_unknown_outcome() {
    let wired = Wired::new();
    wired.proxy.set(Mode::HoldReplies);
    let answer = add_while(&wired, "alice", None, || {
        wired.wait_for_count("alice", 1);
        wired.proxy.cut(Mode::Pass);
    });
    answer.expect_problem(504, "");
    wired.wait_until_connected();
    assert_eq!(wired.count("alice"), 1, "it was not sent again");
}

#[test]
fn a_change_that_was_lost_on_the_way_is_an_unknown_outcome_too() {
    let wired = Wired::new();
    wired.proxy.set(Mode::HoldRequests);
    let answer = add_while(&wired, "alice", None, || {
        wired.wait_until_held("alice");
        wired.proxy.cut(Mode::Pass);
    });
    answer.expect_problem(504, "");
    wired.wait_until_connected();
    assert_eq!(wired.count("alice"), 0, "it was not sent again");
}

#[test]
fn a_change_with_a_key_is_sent_again_and_applied_once() {
    let wired = Wired::new();
    wired.proxy.set(Mode::HoldReplies);
    let answer = add_while(&wired, "alice", Some("key"), || {
        wired.wait_for_count("alice", 1);
        wired.proxy.cut(Mode::Pass);
    });
    assert_eq!(answer.expect(201).json()["itemTotal"], 1);
    // Otherwise the proxy could hold back the Hello of the other worker's new session instead.
    wired.wait_until_connected();
    wired.proxy.set(Mode::HoldRequests);
    let answer = add_while(&wired, "bob", Some("key"), || {
        wired.wait_until_held("bob");
        wired.proxy.cut(Mode::Pass);
    });
    assert!(!answer.is_replayed());
    assert_eq!(answer.expect(201).json()["itemTotal"], 1);
    assert_eq!((wired.count("alice"), wired.count("bob")), (1, 1));
}

#[test]
fn a_client_that_sends_again_with_its_key_is_safe() {
    let wired = Wired::new();
    wired.proxy.set(Mode::HoldReplies);
    let answer = add_while(&wired, "alice", Some("key"), || {
        wired.wait_for_count("alice", 1);
        wired.proxy.cut(Mode::Refuse);
    });
    answer.expect_problem(504, "");
    wired.proxy.set(Mode::Pass);
    wired.wait_until_connected();
    let again = add(&mut wired.proxied.client(), "alice", Some("key")).expect("an answer").expect(201);
    assert!(again.is_replayed());
    assert_eq!((again.json()["itemTotal"].as_u64(), wired.count("alice")), (Some(1), 1));
}

#[test]
fn reads_are_sent_again() {
    let wired = Wired::new();
    add(&mut wired.store.client(), "alice", None).expect("an answer").expect(201);
    wired.store.client().call("PUT", "/kv/key").body("value").send().expect(201);
    for path in ["/items/alice", "/kv/key", "/items/nobody"] {
        for mode in [Mode::HoldRequests, Mode::HoldReplies] {
            wired.proxy.set(mode);
            let answer = thread::scope(|scope| {
                let reading = scope.spawn(|| wired.proxied.client().get(path));
                eventually("something is held back", || wired.proxy.holds_anything().then_some(()));
                wired.proxy.cut(Mode::Pass);
                reading.join().expect("the client failed")
            });
            answer.expect(200);
            wired.wait_until_connected();
        }
    }
}

#[test]
fn a_request_that_never_left_the_facade_was_not_applied() {
    let wired = Wired::new();
    wired.proxy.cut(Mode::Refuse);
    eventually("the facade notices", || {
        let answer = add(&mut wired.proxied.client(), "alice", None).expect("an answer");
        (answer.status == 503).then(|| assert!(answer.expect_problem(503, "").header("retry-after").is_some()))
    });
    let before = wired.count("alice");
    for key in [None, Some("key")] {
        add(&mut wired.proxied.client(), "alice", key).expect("an answer").expect_problem(503, "");
    }
    wired.proxy.set(Mode::Pass);
    wired.wait_until_connected();
    assert_eq!(wired.count("alice"), before);
    add(&mut wired.proxied.client(), "alice", Some("key")).expect("an answer");
    assert_eq!(wired.count("alice"), before + 1);
}

/// The changes of one client, acknowledged and of unknown outcome, without and with a key.
#[derive(Default)]
struct Tally {
    plain: u64,
    plain_unknown: u64,
    keyed: u64,
}

#[test]
fn whatever_is_lost_nothing_is_added_twice() {
    const CLIENTS: u64 = 4;
    const CHANGES: u64 = 60;
    const CUTS: u64 = 25;
    let mut random = Random::seeded("cuts");
    let wired = Wired::new();
    let tallies: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let wired = &wired;
                    move || work(wired, client, CHANGES)
                })
            })
            .collect();
        for _ in 0..CUTS {
            let mode = [Mode::HoldRequests, Mode::HoldReplies][random.below(2) as usize];
            wired.proxy.set(mode);
            eventually("something is held back, or all is done", || {
                (wired.proxy.holds_anything() || clients.iter().all(ScopedJoinHandle::is_finished)).then_some(())
            });
            wired.proxy.cut(Mode::Pass);
            wired.wait_until_connected();
        }
        clients.into_iter().map(|client| client.join().expect("a client failed")).collect()
    });
    for (client, tally) in tallies.iter().enumerate() {
        let plain = wired.count(&format!("plain-{client}"));
        let at_most = tally.plain + tally.plain_unknown;
        assert!((tally.plain..=at_most).contains(&plain), "{plain}, not {} to {at_most}", tally.plain);
        assert_eq!(wired.count(&format!("keyed-{client}")), tally.keyed);
    }
    assert!(tallies.iter().any(|tally| tally.plain_unknown > 0), "nothing was ever lost");
}

/// Makes changes, those with a key until they are acknowledged.
fn work(wired: &Wired, client: u64, changes: u64) -> Tally {
    let (mut tally, mut http) = (Tally::default(), wired.proxied.client());
    let (plain, keyed) = (format!("plain-{client}"), format!("keyed-{client}"));
    for number in 0..changes {
        match add(&mut http, &plain, None) {
            Ok(answer) if [200, 201].contains(&answer.status) => tally.plain += 1,
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => {
                answer.expect_problem(504, "");
                tally.plain_unknown += 1;
            }
            Err(error) => panic!("the facade is always there: {error}"),
        }
        let key = number.to_string();
        eventually("the change with a key is acknowledged", || {
            let answer = add(&mut http, &keyed, Some(&key)).expect("the facade is always there");
            [200, 201].contains(&answer.status).then_some(())
        });
        tally.keyed += 1;
    }
    tally
}
