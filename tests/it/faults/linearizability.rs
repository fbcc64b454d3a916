//! Linearizability of recorded histories of several clients on single carts and keys, also when the shard is killed and
//! restarted in between.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::linearizability::{Event, Model, is_linearizable};
use crate::harness::{Answer, Client, Random, Setup, Store, eventually};

const CLIENTS: u64 = 6;
const OBJECTS: u64 = 3;
/// The number of operations of each client: few enough for the check, and enough for many to overlap.
const OPERATIONS: u64 = 100;
/// The number of times the shard is killed.
const KILLS: u64 = 4;
/// The pause of a client before it retries a request to a shard that is down.
const PAUSE: Duration = Duration::from_millis(2);

/// The outcome of an operation, as its client knows it.
#[derive(Debug, Clone)]
enum Seen<T> {
    Answered(T),
    /// No answer, or one that says that the outcome is unknown.
    Lost,
}

/// The outcome that an answer stands for; `None` when nothing was applied.
fn seen(answer: io::Result<Answer>) -> Option<Seen<Answer>> {
    match answer {
        Ok(answer) if answer.status == 503 => None,
        Ok(answer) if answer.status != 504 => Some(Seen::Answered(answer)),
        _ => Some(Seen::Lost),
    }
}

/// A version, either known or with a lower bound only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Version {
    at_least: u64,
    known: bool,
}

impl Version {
    /// The version after a change that answered with `version`.
    fn after_change(self, version: u64) -> Option<Self> {
        (version > self.at_least).then_some(Version { at_least: version, known: true })
    }

    /// The version after a change whose answer was lost.
    fn after_lost_change(self) -> Self {
        Version { known: false, ..self }
    }

    /// The version after a read that returned it.
    fn after_read(self, version: u64) -> Option<Self> {
        let fits = if self.known { version == self.at_least } else { version >= self.at_least };
        fits.then_some(Version { at_least: version, known: true })
    }
}

/// Item numbers and counts in the order of the cart.
type Lines = Vec<(u64, u64)>;

struct Carts;

#[derive(Debug, Clone)]
enum CartAction {
    Get,
    Add { item: u64, count: u64 },
    Set { item: u64, count: u64 },
    Take,
}

/// The request, and the status, lines and version of its answer.
#[derive(Debug, Clone)]
struct CartOperation(CartAction, Seen<(u16, Lines, u64)>);

impl Model for Carts {
    type State = (Lines, Version);
    type Operation = CartOperation;

    fn apply((lines, version): &Self::State, CartOperation(action, seen): &CartOperation) -> Option<Self::State> {
        let mut after = lines.clone();
        let at = |item: u64| lines.iter().position(|(other, _)| *other == item);
        let status = match *action {
            CartAction::Get => 200,
            CartAction::Add { item, count } => match at(item) {
                Some(index) => {
                    after[index].1 += count;
                    200
                }
                None => {
                    after.push((item, count));
                    201
                }
            },
            CartAction::Set { item, count } => match at(item) {
                Some(index) if count == 0 => {
                    after.remove(index);
                    200
                }
                Some(index) => {
                    after[index].1 = count;
                    200
                }
                None => 404,
            },
            CartAction::Take => {
                after.clear();
                if lines.is_empty() { 404 } else { 200 }
            }
        };
        let Seen::Answered((answered, seen_lines, seen_version)) = seen else {
            return Some((after, version.after_lost_change()));
        };
        if *answered != status {
            return None;
        }
        match action {
            _ if status == 404 => Some((lines.clone(), *version)),
            CartAction::Take => (seen_lines == lines).then_some((after, *version)),
            // An empty cart has version 0, but the next cart has a newer version than the last.
            _ if seen_lines != &after => None,
            _ if after.is_empty() => (*seen_version == 0).then_some((after, *version)),
            CartAction::Get => Some((after, version.after_read(*seen_version)?)),
            _ => Some((after, version.after_change(*seen_version)?)),
        }
    }
}

fn lines_of(answer: &Answer) -> Lines {
    let cart = answer.json();
    let Some(items) = cart["items"].as_array() else { return Lines::new() };
    let number = |line: &serde_json::Value| line["itemId"].as_str()?.strip_prefix('i')?.parse().ok();
    items
        .iter()
        .map(|line| (number(line).expect("i and a number"), line["itemCount"].as_u64().expect("a count")))
        .collect()
}

fn ask_cart(client: &mut Client, cart: &str, random: &mut Random) -> Option<(CartOperation, bool)> {
    let (item, count) = (random.below(2), random.below(4));
    let path = format!("/item/{cart}/i{item}");
    let (action, call) = match random.below(8) {
        0..2 => (CartAction::Get, client.call("GET", &format!("/items/{cart}"))),
        2..5 => {
            let body = format!(r#"{{"offeredPrice":1,"itemCount":{}}}"#, count + 1);
            (CartAction::Add { item, count: count + 1 }, client.call("POST", &path).json(&body))
        }
        5..7 => {
            let body = format!(r#"{{"newCount":{count}}}"#);
            (CartAction::Set { item, count }, client.call("PUT", &path).json(&body))
        }
        _ => (CartAction::Take, client.call("DELETE", &format!("/items/{cart}"))),
    };
    let seen = match seen(call.try_send())? {
        Seen::Lost => Seen::Lost,
        Seen::Answered(answer) => {
            let version = answer.json()["version"].as_u64().unwrap_or_default();
            Seen::Answered((answer.status, lines_of(&answer), version))
        }
    };
    let lost = matches!(seen, Seen::Lost);
    Some((CartOperation(action, seen), lost))
}

struct Keys;

#[derive(Debug, Clone)]
enum KeyAction {
    Get,
    Put(String),
    Delete,
}

/// The request, and the status, value and version of its answer.
#[derive(Debug, Clone)]
struct KeyOperation(KeyAction, Seen<(u16, String, u64)>);

impl Model for Keys {
    type State = (Option<String>, Version);
    type Operation = KeyOperation;

    fn apply((value, version): &Self::State, KeyOperation(action, seen): &KeyOperation) -> Option<Self::State> {
        let (after, status) = match (action, value) {
            (KeyAction::Put(new), None) => (Some(new.clone()), 201),
            (KeyAction::Put(new), Some(_)) => (Some(new.clone()), 200),
            (KeyAction::Delete, Some(_)) => (None, 200),
            (KeyAction::Get, Some(_)) => (value.clone(), 200),
            (_, None) => (None, 404),
        };
        let Seen::Answered((answered, text, seen_version)) = seen else {
            return Some((after, version.after_lost_change()));
        };
        if *answered != status {
            return None;
        }
        let version = match action {
            KeyAction::Put(_) => version.after_change(*seen_version)?,
            KeyAction::Get if status == 200 => {
                (Some(text) == value.as_ref()).then_some(version.after_read(*seen_version)?)?
            }
            _ => *version,
        };
        Some((after, version))
    }
}

fn ask_key(client: &mut Client, key: &str, random: &mut Random) -> Option<(KeyOperation, bool)> {
    let path = format!("/kv/{key}");
    let (action, call) = match random.below(6) {
        0..3 => (KeyAction::Get, client.call("GET", &path)),
        3..5 => {
            let value = random.next().to_string();
            (KeyAction::Put(value.clone()), client.call("PUT", &path).body(value))
        }
        _ => (KeyAction::Delete, client.call("DELETE", &path)),
    };
    let seen = match seen(call.try_send())? {
        Seen::Lost => Seen::Lost,
        Seen::Answered(answer) => {
            let tag = answer.header("etag").unwrap_or_default().trim_matches('"');
            Seen::Answered((answer.status, answer.text(), tag.parse().unwrap_or_default()))
        }
    };
    let lost = matches!(seen, Seen::Lost);
    Some((KeyOperation(action, seen), lost))
}

/// Runs several clients on some objects, and returns the history of each object. `ask` returns an operation, with a
/// flag for a lost answer, or nothing when it was not applied.
fn record<O: Send>(
    store: &mut Store,
    test: &str,
    ask: impl Fn(&mut Client, &str, &mut Random) -> Option<(O, bool)> + Sync,
    meanwhile: impl FnOnce(&mut Store, &AtomicU64),
) -> HashMap<String, Vec<Event<O>>> {
    let mut random = Random::seeded(test);
    let clock = AtomicU64::new(0);
    let address = store.facade.http[0];
    let events: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (clock, ask, mut random) = (&clock, &ask, random.split());
                scope.spawn(move || {
                    let (mut client, mut events) = (Client::new(address), Vec::new());
                    while events.len() < OPERATIONS as usize {
                        let object = format!("object{}", random.below(OBJECTS));
                        let called = clock.fetch_add(1, Ordering::SeqCst);
                        match ask(&mut client, &object, &mut random) {
                            Some((operation, lost)) => {
                                let returned = (!lost).then(|| clock.fetch_add(1, Ordering::SeqCst));
                                events.push((object, Event { operation, called, returned }));
                            }
                            None => thread::sleep(PAUSE),
                        }
                    }
                    events
                })
            })
            .collect();
        meanwhile(store, &clock);
        clients.into_iter().flat_map(|client| client.join().expect("a client failed")).collect()
    });
    let mut histories = HashMap::<_, Vec<_>>::new();
    for (object, event) in events {
        histories.entry(object).or_default().push(event);
    }
    histories
}

/// Kills the shard several times while the clients run.
fn kill_in_between(store: &mut Store, clock: &AtomicU64) {
    for kill in 1..=KILLS {
        let progress = CLIENTS * OPERATIONS * 2 * kill / (KILLS + 1);
        eventually("the clients get on", || (clock.load(Ordering::SeqCst) >= progress).then_some(()));
        store.restart_shard(0);
    }
}

fn assert_linearizable<M: Model<State: Default, Operation: Debug>>(
    histories: HashMap<String, Vec<Event<M::Operation>>>,
) {
    for (object, mut history) in histories {
        let linearizable = is_linearizable::<M>(M::State::default(), &history);
        history.sort_by_key(|event| event.called);
        assert!(linearizable, "{object} was not used in any order that explains this: {history:#?}");
    }
}

#[test]
fn carts_are_linearizable() {
    let mut store = Setup::new(2).durable().start();
    assert_linearizable::<Carts>(record(&mut store, "carts", ask_cart, |_, _| ()));
}

#[test]
fn keys_are_linearizable() {
    let mut store = Setup::new(2).durable().start();
    assert_linearizable::<Keys>(record(&mut store, "keys", ask_key, |_, _| ()));
}

#[test]
fn carts_are_linearizable_while_their_shard_is_killed() {
    let mut store = Setup::new(1).durable().start();
    assert_linearizable::<Carts>(record(&mut store, "carts, killed", ask_cart, kill_in_between));
}

#[test]
fn keys_are_linearizable_while_their_shard_is_killed() {
    let mut store = Setup::new(1).durable().start();
    assert_linearizable::<Keys>(record(&mut store, "keys, killed", ask_key, kill_in_between));
}
