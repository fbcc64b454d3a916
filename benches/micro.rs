//! The steps of one request in isolation: routing hash, codec, a command on the state, a commit.
//!
//! `cargo bench --bench micro`; a name after `--` selects benchmarks.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use shardcart::domain::cart::{Cart, Line, Offer};
use shardcart::domain::money::Money;
use shardcart::domain::time::Timestamp;
use shardcart::protocol::{CartCommand, Command, Request};
use shardcart::routing::{CustomerId, ItemId, KeyHash, SLOTS};
use shardcart::shard::dispatch;
use shardcart::shard::engine::{Resident, State, Writer};
use shardcart::storage::codec;
use shardcart::storage::{DEFAULT_LOG_BYTES, MemoryStorage, Record, RecordKey, RecordKind, Space, StorageKind, Write};

/// The argument that `cargo bench` adds and `cargo test` does not.
const BENCH_FLAG: &str = "--bench";
/// The number of lines in every cart.
const LINES: u64 = 5;
/// The number of carts in the state.
const CUSTOMERS: u64 = 1_000;
/// The number of commands between two commits, as in a busy session.
const COMMANDS_A_COMMIT: u64 = 64;
/// The numbers of writes in one commit.
const COMMIT_SIZES: [u64; 4] = [1, 16, 64, 256];
/// The time of every command: 2025-01-01T00:00:00Z.
const NOW_MICROS: i64 = 1_735_689_600_000_000;

fn main() {
    if !std::env::args().any(|argument| argument == BENCH_FLAG) {
        println!("micro: nothing to test; `cargo bench --bench micro` measures");
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    hash(&mut criterion);
    codec(&mut criterion);
    command(&mut criterion);
    commit(&mut criterion);
    criterion.final_summary();
}

fn hash(criterion: &mut Criterion) {
    let id = customer(42);
    criterion.bench_function("hash/SHA-1 mod 2^63", |bencher| bencher.iter(|| KeyHash::of(black_box(id.as_str()))));
}

fn codec(criterion: &mut Criterion) {
    let cart = cart(42);
    let bytes = codec::encode_cart(&cart);
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode a cart", |bencher| bencher.iter(|| codec::encode_cart(black_box(&cart))));
    group.bench_function("decode a cart", |bencher| bencher.iter(|| codec::decode_cart(black_box(&bytes))));
    group.finish();
}

fn command(criterion: &mut Criterion) {
    let mut writer = writer();
    let add: Vec<_> = (0..CUSTOMERS).flat_map(|number| (0..LINES).map(move |line| add_line(number, line))).collect();
    let read: Vec<_> = (0..CUSTOMERS)
        .map(|number| Request::new(Command::Cart { customer: customer(number), command: CartCommand::Get }))
        .collect();
    let mut group = criterion.benchmark_group("command");
    for (name, requests) in [("add to a line", &add), ("read a cart", &read)] {
        let mut next = requests.iter().enumerate().cycle();
        group.bench_function(name, |bencher| bencher.iter(|| run_next(&mut writer, &mut next)));
    }
    group.finish();
}

/// Runs the next request. After every [`COMMANDS_A_COMMIT`] of them it ends the batch, without storage.
fn run_next<'a>(writer: &mut Writer, next: &mut impl Iterator<Item = (usize, &'a Request)>) {
    let Some((number, request)) = next.next() else { return };
    black_box(dispatch::execute(writer, request, now(), &[]));
    if (number as u64).is_multiple_of(COMMANDS_A_COMMIT) {
        black_box(writer.seal());
        writer.committed();
    }
}

fn commit(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is writable");
    for kind in [StorageKind::Memory, StorageKind::Log, StorageKind::Fjall] {
        commit_to(criterion, kind, directory.path());
    }
}

fn commit_to(criterion: &mut Criterion, kind: StorageKind, directory: &Path) {
    let storage = kind
        .open(directory, Space { log_bytes: DEFAULT_LOG_BYTES, min_free: 0 })
        .expect("a new directory can be opened");
    storage.load(&RecordKind::LOADED, &(0..=SLOTS - 1), &mut |_, _| Ok(())).expect("an empty directory can be read");
    let mut group = criterion.benchmark_group(format!("commit/{kind}"));
    for size in COMMIT_SIZES {
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            let mut first = 0;
            let mut batch = || {
                first += size;
                (first..first + size).map(write).collect::<Vec<_>>()
            };
            bencher.iter_batched(
                &mut batch,
                |batch| storage.commit_next(&batch).expect("the disk works and is not full"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Makes a writer for all slots, with a cart for every customer.
fn writer() -> Writer {
    let mut state = State::default();
    for number in 0..CUSTOMERS {
        state.put(key(&customer(number)), record(number));
    }
    let storage = Arc::new(MemoryStorage::default());
    Writer::new(Resident { state, ..Resident::default() }, storage, 0..=SLOTS - 1)
}

fn write(number: u64) -> Write {
    Write::Put(record(number % CUSTOMERS))
}

fn record(number: u64) -> Record {
    Record::new(key(&customer(number)), &codec::encode_cart(&cart(number)))
}

fn key(customer: &CustomerId) -> RecordKey<'_> {
    RecordKey { hash: customer.hash(), kind: RecordKind::Cart, id: customer.as_str().as_bytes() }
}

fn add_line(number: u64, line: u64) -> Request {
    let Line { item, offer, .. } = self::line(number, line);
    Request::new(Command::Cart { customer: customer(number), command: CartCommand::AddLine { item, offer, count: 1 } })
}

fn cart(number: u64) -> Cart {
    let lines = (0..LINES).map(|line| self::line(number, line)).collect();
    Cart { version: 1, updated_at: Some(now()), lines, checkout: None }
}

/// Lines 1 and 3 are on special sale.
fn line(number: u64, line: u64) -> Line {
    let special_sale = line % 2 == 1;
    Line {
        item: ItemId::new(format!("item-{:016}", number * LINES + line)).expect("digits and letters"),
        offer: Offer {
            price: Money::from_hundredths(1_099 + line * 687).expect("a small price"),
            special_sale,
            sale_expiration: special_sale.then(now),
        },
        count: 1,
    }
}

fn customer(number: u64) -> CustomerId {
    CustomerId::new(format!("customer-{number:07}")).expect("digits and letters")
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW_MICROS).expect("a time of this century")
}
