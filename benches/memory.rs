//! The cost of a million carts: the shards' resident memory, with the overhead of the processes, and the time to load
//! them from disk.
//!
//! The carts are created over HTTP, so the memory is that of a store in use, with its allocator and caches. The
//! options: `cargo bench --bench memory -- --help`.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

#[path = "harness/mod.rs"]
#[allow(dead_code, reason = "every benchmark uses its own part of the harness")]
mod harness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use harness::carts;
use harness::connection::Connection;
use harness::procfs::{self, Memory};
use harness::store::Store;
use harness::{Result, block_on, run_under_bench};
use shardcart::routing::{OrderId, SLOTS, Slot};
use shardcart::storage::{DEFAULT_LOG_BYTES, Record, RecordKey, RecordKind, Space, StorageKind, Write};

/// The number of carts that are read back after a restart, spread over all carts.
const CHECKED_CARTS: u64 = 1_000;

/// The request that makes a closed order.
const PURCHASE: &[u8] = b"POST /purchase/1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
/// The closed orders that are written in one commit.
const ORDERS_A_COMMIT: usize = 1_000;
/// The starts of which the median is taken.
const STARTS: usize = 5;

/// The storage of the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Storage {
    Memory,
    Log,
}

/// Measures what carts take in memory and how long they take to load.
#[derive(Debug, Parser)]
struct Options {
    /// Carts of five lines.
    #[arg(long, default_value_t = 1_000_000)]
    carts: u64,
    /// Only these storages.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Storage::Memory, Storage::Log])]
    only: Vec<Storage>,
    /// Shard counts; the carts are divided among the shards.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    shards: Vec<u32>,
    /// Connections that fill the store.
    #[arg(long, default_value_t = 128)]
    connections: usize,
    /// Measures instead how much longer a shard with so many closed orders takes to start.
    #[arg(long)]
    closed_orders: Option<u64>,
    /// The directory of the stores' data.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    data: PathBuf,
    /// Set by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    run_under_bench("memory", || run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    if let Some(orders) = options.closed_orders {
        let data = tempfile::tempdir_in(&options.data)?;
        return start_with_history(orders, data.path());
    }
    println!("{} carts of {} lines; bytes a cart, summed over the shards' processes", options.carts, carts::LINES);
    for &storage in &options.only {
        for &shards in &options.shards {
            let data = tempfile::tempdir_in(&options.data)?;
            println!("\n{}, {shards} shard(s)", storage.name());
            measure(options, storage, shards, data.path())?;
        }
    }
    Ok(())
}

fn measure(options: &Options, storage: Storage, shards: u32, data: &Path) -> Result<()> {
    let store = Store::start(shards, storage.name(), data)?;
    println!("  empty: {:.1} MB resident", resident(&store)?.resident as f64 / 1e6);
    let start = Instant::now();
    block_on(carts::fill(store.http(), options.carts, carts::LINES, options.connections))?;
    let additions = options.carts * carts::LINES;
    println!("  filled: {additions} additions, {:.0}/s", per_second(additions, start.elapsed()));
    print_memory(options.carts, resident(&store)?, storage.target());
    store.stop()?;
    if storage == Storage::Log {
        restart(options, storage, shards, data)?;
    }
    Ok(())
}

fn restart(options: &Options, storage: Storage, shards: u32, data: &Path) -> Result<()> {
    let start = Instant::now();
    let store = Store::start(shards, storage.name(), data)?;
    let taken = start.elapsed();
    println!("  restarted: ready after {:.2} s, {:.0} carts/s", taken.as_secs_f64(), per_second(options.carts, taken));
    print_memory(options.carts, resident(&store)?, storage.target());
    block_on(check(&store, options.carts))?;
    store.stop()
}

/// Starts a shard before and after it gets a history of closed orders.
fn start_with_history(orders: u64, data: &Path) -> Result<()> {
    let store = Store::start_with(1, "log", data, &[])?;
    block_on(async { Ok(Connection::open(store.http()).await?.exchange(PURCHASE).await.map(drop)?) })?;
    store.stop()?;
    let before = median_start(data)?;
    let storage = StorageKind::Log.open(&data.join("shard-0"), Space { log_bytes: DEFAULT_LOG_BYTES, min_free: 0 })?;
    let all = 0..=SLOTS - 1;
    let page = storage.scan(RecordKind::Order, &all, &[], usize::MAX)?;
    let order = page.records.first().ok_or("the order is not closed")?;
    for first in (0..orders).step_by(ORDERS_A_COMMIT) {
        let batch: Vec<_> = (first..orders.min(first + ORDERS_A_COMMIT as u64))
            .map(|number| {
                let id = OrderId::new(Slot((number % u64::from(SLOTS)) as u16), number, u128::from(number));
                let key = RecordKey { hash: id.hash(), kind: RecordKind::Order, id: id.as_bytes() };
                Write::Put(Record::new(key, order.value()))
            })
            .collect();
        storage.commit_next(&batch)?;
    }
    storage.close()?;
    drop(storage);
    let after = median_start(data)?;
    println!("start without a history {before:.2} s, with {orders} closed orders {after:.2} s: {:.2}x", after / before);
    Ok(())
}

/// The seconds from the start of a store until it is ready, the median of some.
fn median_start(data: &Path) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let store = Store::start_with(1, "log", data, &[])?;
        seconds.push(began.elapsed().as_secs_f64());
        store.stop()?;
    }
    seconds.sort_unstable_by(f64::total_cmp);
    Ok(seconds[STARTS / 2])
}

/// Reads some carts and fails unless each has all its lines.
async fn check(store: &Store, carts: u64) -> Result<()> {
    let mut connection = Connection::open(store.http()).await?;
    for customer in (0..carts).step_by(carts.div_ceil(CHECKED_CARTS).max(1) as usize) {
        let answer = connection.exchange(&carts::read_request(customer)).await?;
        let cart: serde_json::Value = serde_json::from_slice(answer.body)?;
        if cart["items"].as_array().map(Vec::len) != Some(carts::LINES as usize) {
            return Err(format!("a cart has changed: {}", answer.describe()).into());
        }
    }
    Ok(())
}

fn print_memory(carts: u64, memory: Memory, target: u64) {
    let each = |bytes: u64| bytes as f64 / carts as f64;
    let verdict = if each(memory.resident) <= target as f64 { "met" } else { "MISSED" };
    println!(
        "    {:.0} B/cart resident; at most {target}: {verdict} ({:.0} proportional, {:.0} at the peak)",
        each(memory.resident),
        each(memory.proportional),
        each(memory.peak),
    );
}

/// The memory of all shards together.
fn resident(store: &Store) -> Result<Memory> {
    let mut total = Memory::default();
    for shard in store.shards()? {
        let memory = procfs::memory(shard)?;
        total.resident += memory.resident;
        total.proportional += memory.proportional;
        total.peak += memory.peak;
    }
    Ok(total)
}

fn per_second(count: u64, taken: Duration) -> f64 {
    count as f64 / taken.as_secs_f64()
}

impl Storage {
    fn name(self) -> &'static str {
        match self {
            Storage::Memory => "memory",
            Storage::Log => "log",
        }
    }

    /// The most resident bytes that a cart may take.
    fn target(self) -> u64 {
        match self {
            Storage::Memory => 330,
            Storage::Log => 400,
        }
    }
}
