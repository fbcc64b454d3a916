//! Whole requests through real processes, one at a time: the latency that a client sees when the store is otherwise
//! idle. The `load` benchmark measures it under load.
//!
//! `cargo bench --bench requests`; a name after `--` selects benchmarks.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

#[path = "harness/mod.rs"]
#[allow(dead_code, reason = "every benchmark uses its own part of the harness")]
mod harness;

use std::process::ExitCode;

use criterion::Criterion;
use tokio::runtime::Runtime;

use harness::carts;
use harness::connection::Connection;
use harness::store::Store;
use harness::{Result, run_under_bench};

/// The number of carts in the store.
const CUSTOMERS: u64 = 1_000;
/// The number of connections that fill it.
const FILL_CONNECTIONS: usize = 16;
/// The number of shards of the store.
const SHARDS: u32 = 4;

fn main() -> ExitCode {
    run_under_bench("requests", || {
        let mut criterion = Criterion::default().configure_from_args();
        let adds = || {
            (0..CUSTOMERS).flat_map(|customer| (0..carts::LINES).map(move |line| carts::add_request(customer, line)))
        };
        let outcome = measure(&mut criterion, "memory", "GET", (0..CUSTOMERS).map(carts::read_request).collect())
            .and_then(|()| measure(&mut criterion, "memory", "POST", adds().collect()))
            .and_then(|()| measure(&mut criterion, "log", "POST", adds().collect()));
        criterion.final_summary();
        outcome
    })
}

/// Measures requests, one after the other, on a store of its own.
fn measure(criterion: &mut Criterion, storage: &str, method: &str, requests: Vec<Vec<u8>>) -> Result<()> {
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = Store::start(SHARDS, storage, data.path())?;
    harness::block_on(carts::fill(store.http(), CUSTOMERS, carts::LINES, FILL_CONNECTIONS))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connection = runtime.block_on(Connection::open(store.http()))?;
    let mut next = requests.iter().cycle();
    let mut failure = None;
    criterion.bench_function(&format!("{storage}/{method}"), |bencher| {
        bencher.iter(|| {
            let outcome = next.next().map(|request| exchange(&runtime, &mut connection, request));
            if let Some(Err(error)) = outcome {
                failure.get_or_insert(error);
            }
        });
    });
    store.stop()?;
    failure.map_or(Ok(()), Err)
}

fn exchange(runtime: &Runtime, connection: &mut Connection, request: &[u8]) -> Result<()> {
    runtime.block_on(async {
        let answer = connection.exchange(request).await?;
        if answer.is_success() { Ok(()) } else { Err(answer.describe().into()) }
    })
}
