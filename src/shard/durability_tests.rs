//! Tests the durability of replies with a storage double that loses commits that have not returned.
//!
//! The contract: once a reply can be seen, everything it was computed from survives a power failure. Removing the
//! sync from the committer fails these tests.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use proptest::prelude::*;
use prost::Message as _;

use super::clock::Moment;
use super::dispatch::{self, Execution};
use super::engine::{
    Awaited, CommitDependency, MAX_WAITING_REPLIES, Outbox, ReplyTo, Resident, SharedWriter, Waiter, Writer,
};
use super::options::DEFAULT_COMMIT_TIMEOUT;
use super::saga::Coordinator;
use super::startup;
use crate::domain::cart::Offer;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::payment::{GatewayAddress, HttpGateway};
use crate::protocol::{self, CartCommand, Command, Idempotency, ReplyBody, Request, WireReply};
use crate::routing::{CustomerId, ItemId, KeyHash, SLOTS};
use crate::storage::codec;
use crate::storage::{Loaded, ORDER_COUNTS_KEY, Outcome, Page, Record, RecordKey, RecordKind, Storage, Write};

/// The time in which everything becomes durable.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Storage that keeps synced writes apart from others. Syncing waits while the gate is shut.
#[derive(Default)]
pub struct LosesUnsynced {
    disk: Mutex<Disk>,
    opened: Condvar,
}

#[derive(Default)]
struct Disk {
    written: Records,
    synced: Records,
    sequence: u64,
    shut: bool,
}

impl LosesUnsynced {
    fn shut(&self, shut: bool) {
        self.disk.lock().unwrap().shut = shut;
        self.opened.notify_all();
    }

    /// The records that survive a power failure.
    pub fn survivors(&self) -> Records {
        self.disk.lock().unwrap().synced.clone()
    }
}

impl Storage for LosesUnsynced {
    fn sequence(&self) -> u64 {
        self.disk.lock().unwrap().sequence
    }

    fn load(&self, _: &[RecordKind], _: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()> {
        let disk = self.disk.lock().unwrap();
        let mut records = disk.written.iter().filter(|(key, _)| *key != ORDER_COUNTS_KEY);
        records.try_for_each(|(key, value)| each(key, value))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.disk.lock().unwrap().written.get(key).cloned())
    }

    fn scan(&self, _: RecordKind, _: &RangeInclusive<u16>, _: &[u8], _: usize) -> Result<Page> {
        unreachable!("no command scans")
    }

    fn commit(&self, batch: &[Write], sequence: u64) -> Outcome {
        let mut disk = self.disk.lock().unwrap();
        for write in batch {
            match write {
                Write::Put(record) => disk.written.insert(record.key().to_vec(), record.value().to_vec()),
                Write::Delete(record) => disk.written.remove(record.key()),
            };
        }
        let mut disk = self.opened.wait_while(disk, |disk| disk.shut).unwrap();
        assert_eq!(sequence, disk.sequence + 1, "commits follow one another");
        disk.sequence = sequence;
        disk.synced = disk.written.clone();
        Outcome::Committed
    }

    fn is_volatile(&self) -> bool {
        false
    }
}

/// A shard without its server.
pub struct Shard {
    pub storage: Arc<LosesUnsynced>,
    pub writer: Arc<SharedWriter>,
    outbox: Arc<Outbox>,
    delivered: Vec<WireReply>,
    next_id: u64,
    now: Moment,
}

impl Shard {
    pub fn new() -> Self {
        let storage = Arc::new(LosesUnsynced::default());
        let writer = Writer::new(Resident::default(), storage.clone(), 0..=SLOTS - 1);
        let writer = SharedWriter::new(writer, storage.clone());
        writer.start(DEFAULT_COMMIT_TIMEOUT).unwrap();
        let now = Timestamp::from_micros(1_000_000).unwrap().into();
        Shard { storage, writer, outbox: Arc::default(), delivered: Vec::new(), next_id: 0, now }
    }

    /// Goes on with what is on disk.
    pub fn restart(&mut self) {
        let resident = startup::recover(&*self.storage, &(0..=SLOTS - 1)).unwrap();
        let writer = Writer::new(resident, self.storage.clone(), 0..=SLOTS - 1);
        self.writer = SharedWriter::new(writer, self.storage.clone());
        self.writer.start(DEFAULT_COMMIT_TIMEOUT).unwrap();
    }

    /// Runs a request as a session does. Returns its id, and true if its reply may be sent at once.
    fn send(&mut self, request: &Request) -> (u64, bool) {
        let id = self.next_id;
        self.next_id += 1;
        let mut writer = self.writer.lock();
        let now = self.now;
        let mut fetched = Vec::new();
        let (reply, dependency) = loop {
            match dispatch::execute(&mut writer, request, now, &fetched) {
                Execution::Replied(reply, dependency) => break (reply, dependency),
                Execution::Fetch(key) => {
                    let (stamp, value) = (writer.stamp(&key), self.storage.get(key.bytes()).unwrap());
                    fetched.push(key.with(stamp, value));
                }
                Execution::Continues(_) => panic!("no order was placed"),
            }
        };
        let at_once = dependency == CommitDependency::None;
        if at_once {
            self.delivered.push(WireReply { id, ..reply });
        } else {
            let reply_to = ReplyTo {
                outbox: self.outbox.clone(),
                id,
                awaited: Awaited::Commit,
                bytes: reply.encoded_len(),
                since: None,
            };
            writer.wait(dependency, Waiter::Reply(reply_to, reply));
        }
        self.writer.commit(writer);
        (id, at_once)
    }

    fn collect(&mut self) -> &[WireReply] {
        self.outbox.drain(&mut self.delivered, &Context::from_waker(Waker::noop()));
        &self.delivered
    }

    /// Waits until everything is durable, and returns a reply.
    fn finish(&mut self, id: u64) -> WireReply {
        assert!(self.writer.finish(DEADLINE));
        loop {
            // The committer releases replies just after the batch is durable.
            if let Some(reply) = self.collect().iter().find(|reply| reply.id == id) {
                return reply.clone();
            }
            std::thread::yield_now();
        }
    }

    pub fn run_at(&mut self, request: &Request, now: Moment) -> Result<ReplyBody> {
        self.now = now;
        self.run(request)
    }

    pub fn run(&mut self, request: &Request) -> Result<ReplyBody> {
        let (id, _) = self.send(request);
        protocol::decode_reply(self.finish(id)).result.map(|answer| answer.body)
    }
}

fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

pub fn add(name: &str) -> Request {
    let offer = Offer { price: Money::from_hundredths(100).unwrap(), special_sale: false, sale_expiration: None };
    Request::new(Command::Cart {
        customer: customer(name),
        command: CartCommand::AddLine { item: ItemId::new("tea").unwrap(), offer, count: 1 },
    })
}

fn get(name: &str) -> Request {
    Request::new(Command::Cart { customer: customer(name), command: CartCommand::Get })
}

fn take(name: &str) -> Request {
    Request::new(Command::Cart { customer: customer(name), command: CartCommand::Take })
}

fn remove(name: &str) -> Request {
    Request::new(Command::Cart {
        customer: customer(name),
        command: CartCommand::RemoveLine { item: ItemId::new("tea").unwrap() },
    })
}

pub fn keyed(request: Request, key: &str) -> Request {
    let fingerprint = protocol::fingerprint(&request.command);
    Request { idempotency: Some(Idempotency { key: key.into(), fingerprint }), ..request }
}

#[test]
fn values_absences_refusals_and_replays_wait_for_what_they_read() {
    let mut shard = Shard::new();
    shard.run(&add("bystander")).unwrap();
    shard.storage.shut(true);
    for request in [
        keyed(add("alice"), "k"), // a write
        get("alice"),             // its value
        keyed(add("alice"), "k"), // its replay
        take("alice"),            // a delete
        get("alice"),             // the absence
        remove("alice"),          // a refusal because of it
        take("alice"),            // another
    ] {
        let (id, at_once) = shard.send(&request);
        assert!(!at_once, "{request:?} was answered before what it read was durable");
        assert!(shard.collect().iter().all(|reply| reply.id != id), "{request:?} was answered early");
    }
    let (_, at_once) = shard.send(&get("bystander"));
    assert!(at_once, "a record that nobody is changing has nothing to wait for");
    assert!(shard.send(&get("nobody")).1, "an absence that nobody is changing has nothing to wait for");
    shard.storage.shut(false);
    assert!(matches!(shard.run(&get("alice")), Ok(ReplyBody::Cart(cart)) if cart.version == 0));
}

/// A step of an order is durable before the next one begins: without that, stock could be held for an order that is lost.
#[test]
fn a_step_of_an_order_waits_until_it_is_durable() {
    let shard = Shard::new();
    let gateway = HttpGateway::new(&GatewayAddress::Unix("nobody".into())).unwrap();
    let coordinator = Coordinator::new(shard.writer.clone(), None, gateway);
    let key = RecordKey { hash: KeyHash::of("a"), kind: RecordKind::Kv, id: b"a" };
    shard.storage.shut(true);
    let mut step = Box::pin(coordinator.transact(|txn| txn.put(key, &codec::encode_value(1, "x"))));
    let mut context = Context::from_waker(Waker::noop());
    assert!(step.as_mut().poll(&mut context).is_pending());
    let mut reader = Box::pin(coordinator.transact(|txn| txn.read(key).is_some()));
    assert!(reader.as_mut().poll(&mut context).is_pending(), "what was read is not durable either");
    shard.storage.shut(false);
    assert!(shard.writer.finish(DEADLINE));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(step);
    assert!(runtime.block_on(reader));
}

#[test]
fn a_stored_reply_is_in_the_same_commit_as_its_change() {
    let mut shard = Shard::new();
    shard.run(&keyed(add("alice"), "k")).unwrap();
    let survivors = shard.storage.survivors();
    let kinds: Vec<_> = survivors.keys().filter(|key| key.len() > 8).map(|key| key[8]).collect();
    assert!(kinds.contains(&(RecordKind::Cart as u8)) && kinds.contains(&(RecordKind::Idempotency as u8)), "{kinds:?}");
    let other = keyed(
        Request::new(Command::Cart {
            customer: customer("alice"),
            command: CartCommand::SetCount { item: ItemId::new("tea").unwrap(), count: 9 },
        }),
        "k",
    );
    assert!(matches!(shard.run(&other), Err(Error::KeyReused(_))));
}

#[test]
fn customers_with_one_hash_share_nothing() {
    let mut shard = Shard::new();
    let collide = |request: Request| Request { hash: KeyHash::from_bits(7), ..request };
    shard.run(&collide(add("alice"))).unwrap();
    assert!(matches!(shard.run(&collide(get("bob"))), Ok(ReplyBody::Cart(cart)) if cart.version == 0));
    shard.run(&collide(keyed(add("bob"), "k"))).unwrap();
    shard.run(&collide(keyed(add("alice"), "k"))).unwrap();
    shard.run(&collide(take("bob"))).unwrap();
    assert!(matches!(shard.run(&collide(get("alice"))), Ok(ReplyBody::Cart(cart)) if cart.lines[0].count == 2));
}

#[test]
fn writes_are_refused_before_they_are_applied_while_the_disk_is_full() {
    let mut shard = Shard::new();
    shard.run(&keyed(add("alice"), "k")).unwrap();
    shard.writer.lock().set_accepts_writes(false);
    assert!(matches!(shard.run(&add("alice")), Err(Error::Unavailable(_))));
    assert!(shard.run(&keyed(add("alice"), "k")).is_ok(), "a replay writes nothing");
    assert!(matches!(shard.run(&get("alice")), Ok(ReplyBody::Cart(cart)) if cart.lines[0].count == 1));
}

#[test]
fn replies_that_wait_for_the_disk_are_limited_in_bytes() {
    let mut shard = Shard::new();
    let item = |number: usize| ItemId::new(format!("{number:0128}")).unwrap();
    let offer = Offer { price: Money::default(), special_sale: false, sale_expiration: None };
    let add = |number: usize| {
        let command = CartCommand::AddLine { item: item(number % 500), offer, count: 1 };
        Request::new(Command::Cart { customer: customer("alice"), command })
    };
    (0..500).for_each(|number| _ = shard.run(&add(number)).unwrap());
    shard.storage.shut(true);
    // Each reply has some 70 KB. The last ones are refused, additions and reads alike.
    let sent: Vec<_> = (0..1_500).map(|number| shard.send(&add(number))).collect();
    assert!(sent.iter().filter(|(_, at_once)| !at_once).count() < 1_200);
    let (refused_read, at_once) = shard.send(&get("alice"));
    assert!(at_once);
    shard.storage.shut(false);
    let refused = protocol::decode_reply(shard.finish(refused_read)).result;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(shard.run(&get("alice")).is_ok());
}

#[test]
fn replies_that_wait_for_the_disk_are_limited_in_number() {
    let mut shard = Shard::new();
    shard.storage.shut(true);
    let refused = (0..=MAX_WAITING_REPLIES).map(|_| shard.send(&add("alice"))).find(|(_, at_once)| *at_once);
    let (refused, _) = refused.expect("one reply too many");
    assert!(shard.send(&get("alice")).1, "a read of what is not durable would wait as well");
    assert!(shard.send(&get("bob")).1);
    shard.storage.shut(false);
    let refused = protocol::decode_reply(shard.finish(refused)).result;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let Ok(ReplyBody::Cart(cart)) = shard.run(&get("alice")) else { panic!("it is read again") };
    assert_eq!(cart.lines[0].count as usize, MAX_WAITING_REPLIES);
}

#[test]
fn a_record_newer_than_the_last_commit_is_noticed() {
    let storage = LosesUnsynced::default();
    let key = RecordKey { hash: KeyHash::of("abc"), kind: RecordKind::Kv, id: b"abc" };
    storage.commit_next(&[Write::Put(Record::new(key, &codec::encode_value(5, "x")))]).unwrap();
    let refusal = startup::recover(&storage, &(0..=SLOTS - 1)).err().unwrap();
    assert!(refusal.detail().contains("a part of the store is missing"), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Sends only additions to carts, so that the surviving counts must be at least those acknowledged and at most
    /// those sent.
    #[test]
    fn every_acknowledged_write_survives(names in prop::collection::vec(0..3u8, 1..40), syncs in prop::collection::vec(any::<bool>(), 1..40)) {
        let mut shard = Shard::new();
        let mut asked = [0_u32; 3];
        let mut ids = Vec::new();
        for (name, shut) in names.iter().zip(syncs.iter().cycle()) {
            shard.storage.shut(*shut);
            let name = usize::from(*name);
            asked[name] += 1;
            ids.push((shard.send(&add(&name.to_string())).0, name));
            let seen: Vec<_> = shard.collect().to_vec();
            let survivors = shard.storage.survivors();
            for (customer, asked) in asked.iter().enumerate() {
                let acknowledged = ids.iter().filter(|(id, name)| *name == customer && seen.iter().any(|reply| reply.id == *id));
                let id = customer.to_string();
                let key = Record::new(RecordKey { hash: KeyHash::of(&id), kind: RecordKind::Cart, id: id.as_bytes() }, b"");
                let count = survivors.get(key.key()).map_or(0, |value| codec::decode_cart(value).unwrap().lines[0].count);
                prop_assert!(acknowledged.count() as u32 <= count && count <= *asked);
            }
        }
        shard.storage.shut(false);
        assert!(shard.writer.finish(DEADLINE));
    }
}
