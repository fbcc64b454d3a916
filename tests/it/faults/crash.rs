//! Processes that are killed with -9 while clients write: afterwards every acknowledged write is there, and all or
//! nothing of an unacknowledged one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::harness::{Answer, Client, Random, Setup, Store, eventually, offer};

const SHARDS: usize = 3;
const WRITERS: usize = 6;
/// The pause of a writer before it retries a request to a process that is down.
const PAUSE: Duration = Duration::from_millis(2);
/// The length of the number that a stored value repeats to its end.
const DIGITS: usize = 8;
const REPEATS: usize = 100;

/// A client that is the only writer of a cart and a key, so that it knows their content.
struct Writer {
    customer: String,
    key: String,
    /// The acknowledged state.
    count: u64,
    value: u64,
    version: u64,
    /// The write whose answer was lost.
    lost: Option<Write>,
    written: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Add,
    AddOnce { number: u64 },
    Put { value: u64 },
}

fn stored(value: u64) -> String {
    format!("{value:0DIGITS$}").repeat(REPEATS)
}

impl Writer {
    fn new(store: &Store, number: usize) -> Self {
        let customer = store.customer_on(number % SHARDS, &format!("writer-{number}-"));
        let key = store.customer_on((number + 1) % SHARDS, &format!("writer{number}"));
        Writer { customer, key, count: 0, value: 0, version: 0, lost: None, written: 0 }
    }

    fn send(&self, client: &mut Client, write: Write) -> std::io::Result<Answer> {
        let item = format!("/item/{}/tea", self.customer);
        match write {
            Write::Add => client.call("POST", &item).json(&offer("0.25", 1)).try_send(),
            Write::AddOnce { number } => {
                let key = number.to_string();
                client.call("POST", &item).header("Idempotency-Key", &key).json(&offer("0.25", 1)).try_send()
            }
            Write::Put { value } => client.call("PUT", &format!("/kv/{}", self.key)).body(stored(value)).try_send(),
        }
    }

    /// Writes until an answer is lost or `stop` is set.
    fn work(&mut self, mut client: Client, random: &mut Random, acknowledged: &AtomicU64, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) && self.lost.is_none() {
            self.written += 1;
            let write = match random.below(3) {
                0 => Write::Add,
                1 => Write::AddOnce { number: self.written },
                _ => Write::Put { value: self.written },
            };
            match self.send(&mut client, write) {
                Ok(answer) if [200, 201].contains(&answer.status) => {
                    self.acknowledge(write, &answer);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                Ok(answer) if answer.status == 503 => thread::sleep(PAUSE),
                Ok(answer) if answer.status != 504 => panic!("{write:?}: {answer:?}"),
                _ => self.lost = Some(write),
            }
        }
    }

    fn acknowledge(&mut self, write: Write, answer: &Answer) {
        if let Write::Put { value } = write {
            self.value = value;
            return;
        }
        self.count += 1;
        assert_eq!(answer.json()["itemTotal"], self.count, "{}", self.customer);
        assert!(answer.version() > self.version, "{}", self.customer);
        self.version = answer.version();
    }

    /// Reads the cart and the key, and compares them with their expected content.
    fn check(&mut self, client: &mut Client) {
        let cart = client.get(&format!("/items/{}", self.customer)).expect(200);
        let count = cart.json()["itemTotal"].as_u64().expect("a count");
        let value = match client.get(&format!("/kv/{}", self.key)) {
            answer if answer.status == 404 => 0,
            answer => {
                let text = answer.expect(200).text();
                let value = text[..DIGITS].parse().expect("a value begins with its number");
                assert_eq!(text, stored(value), "a half of a value");
                value
            }
        };
        let lost = self.lost.take();
        let (mut counts, mut values) = (vec![self.count], vec![self.value]);
        match lost {
            Some(Write::Add | Write::AddOnce { .. }) => counts.push(self.count + 1),
            Some(Write::Put { value }) => values.push(value),
            None => {}
        }
        assert!(counts.contains(&count), "{}: {count} of {counts:?}, lost: {lost:?}", self.customer);
        assert!(values.contains(&value), "{}: {value} of {values:?}, lost: {lost:?}", self.key);
        assert_eq!(cart.number("total"), format!("{}.{:02}", count / 4, count % 4 * 25), "a half of a cart");
        assert!(cart.version() >= self.version, "{}: the version went back", self.customer);
        let applied = count > self.count;
        (self.count, self.value, self.version) = (count, value, cart.version());
        if let Some(write @ Write::AddOnce { .. }) = lost {
            // The change and its stored reply were in one commit: both are there or neither.
            let answer = self.send(client, write).expect("an answer");
            assert!([200, 201].contains(&answer.status), "{}", answer.text());
            assert_eq!(answer.is_replayed(), applied, "{}", self.customer);
            self.count += u64::from(!applied);
            let cart = client.get(&format!("/items/{}", self.customer)).expect(200);
            assert_eq!(cart.json()["itemTotal"], self.count);
            self.version = cart.version();
        }
    }
}

/// Runs all writers, ends a process in the middle, and checks everything when it is back.
fn round(store: &mut Store, writers: &mut [Writer], random: &mut Random, end: impl FnOnce(&mut Store)) {
    let (acknowledged, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let address = store.facade.http[0];
    let so_many = WRITERS as u64 + random.below(100);
    thread::scope(|scope| {
        for writer in writers.iter_mut() {
            let (acknowledged, stop, mut random) = (&acknowledged, &stop, random.split());
            scope.spawn(move || writer.work(Client::new(address), &mut random, acknowledged, stop));
        }
        eventually("the writers get on", || (acknowledged.load(Ordering::SeqCst) >= so_many).then_some(()));
        end(store);
        stop.store(true, Ordering::SeqCst);
    });
    for shard in 0..SHARDS {
        store.wait_for_shard(shard);
    }
    let mut client = store.client();
    for writer in writers {
        writer.check(&mut client);
    }
}

fn start() -> (Store, Vec<Writer>) {
    start_with(Setup::new(SHARDS as u32).durable())
}

fn start_with(setup: Setup) -> (Store, Vec<Writer>) {
    let store = setup.start();
    let writers = (0..WRITERS).map(|number| Writer::new(&store, number)).collect();
    (store, writers)
}

/// The number of rounds of a test; `SHARDCART_ROUNDS` sets another one, for a soak.
fn rounds(usual: u32) -> u32 {
    std::env::var("SHARDCART_ROUNDS").map_or(usual, |text| text.parse().expect("SHARDCART_ROUNDS is a number"))
}

#[test]
fn a_shard_that_is_killed_loses_nothing() {
    let mut random = Random::seeded("shards");
    let (mut store, mut writers) = start();
    for number in 1..=rounds(12) {
        let shard = random.below(SHARDS as u64) as usize;
        round(&mut store, &mut writers, &mut random, |store| store.restart_shard(shard));
        println!("round {number}: nothing was lost");
    }
    assert!(writers.iter().all(|writer| writer.count > 0 && writer.value > 0));
}

#[test]
fn a_shard_on_tcp_that_is_killed_loses_nothing() {
    let mut random = Random::seeded("tcp");
    let (mut store, mut writers) = start_with(Setup::new(SHARDS as u32).durable().tcp());
    for _ in 0..4 {
        let shard = random.below(SHARDS as u64) as usize;
        round(&mut store, &mut writers, &mut random, |store| store.restart_shard(shard));
    }
}

#[test]
fn all_shards_that_are_killed_at_once_lose_nothing() {
    const ROUNDS: u32 = 4;
    let mut random = Random::seeded("all shards");
    let (mut store, mut writers) = start();
    for _ in 0..ROUNDS {
        round(&mut store, &mut writers, &mut random, |store| {
            store.shards.iter_mut().for_each(|shard| shard.kill());
            store.shards.iter_mut().for_each(|shard| shard.start_again());
        });
    }
}

#[test]
fn a_facade_that_is_killed_loses_nothing() {
    const ROUNDS: u32 = 6;
    let mut random = Random::seeded("facade");
    let (mut store, mut writers) = start();
    for _ in 0..ROUNDS {
        round(&mut store, &mut writers, &mut random, Store::replace_facade);
    }
}

#[test]
fn a_shard_that_dies_again_and_again_loses_nothing() {
    const KILLS: u64 = 6;
    let mut random = Random::seeded("again");
    let (mut store, mut writers) = start();
    for _ in 0..2 {
        round(&mut store, &mut writers, &mut random, |store| {
            store.shards[0].kill();
            for _ in 0..KILLS {
                store.shards[0].start_again();
                store.shards[0].kill();
            }
            store.start_shard(0);
        });
    }
}

/// The page cache survives a killed process, so no kill can show that commits reach the disk. This does: the kernel
/// syncs each write to a file that is open with `O_DSYNC`.
#[test]
fn every_file_that_is_committed_to_is_synced_by_each_write() {
    // Without the option only root may look at the files of a process.
    let store = Setup::new(1).durable().shard_options(&["--allow-core-dumps"]).start();
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
    let dsync = OFlags::DSYNC.bits();
    for name in ["0000.log", "manifest"] {
        let open = store.shards[0].process().open_flags(&format!("shard-0/log/{name}"));
        let written: Vec<_> = open.iter().filter(|(_, flags)| flags & OFlags::RWMODE.bits() != 0).collect();
        assert!(!written.is_empty(), "{name} is not open for writing: {open:?}");
        assert!(written.iter().all(|(_, flags)| flags & dsync == dsync), "{name}: {written:?}");
    }
}
