//! The cost of the shop compared with carts, in one run: an order of one product on one shard and of five products on
//! four shards, compared with an addition to a cart, all durable; and a search among 100,000 products, compared with
//! a cart's GET, both at the same fixed rate.
//!
//! `cargo bench --bench shop`; `-- --help` has the options.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

#[path = "../load/generator.rs"]
#[allow(dead_code, reason = "the load comparison uses all of it")]
mod generator;
#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "every benchmark uses its own part of the harness")]
mod harness;
mod requests;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use generator::{Load, Measured};
use harness::store::Store;
use harness::{Result, block_on, carts, run_under_bench};

const WARM_UP: Duration = Duration::from_millis(500);
const CUSTOMERS: u64 = 1_000;
const FILL_CONNECTIONS: usize = 16;

/// Measures orders and searches beside carts.
#[derive(Parser)]
struct Options {
    /// The seconds of each measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds: in each, every kind of request is measured once. The medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections that are open at once.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests a second of the comparison of searches.
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Products of that comparison; ten have the same topic.
    #[arg(long, default_value_t = 100_000)]
    products: u64,
    /// The directory of the stores' data.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    data: PathBuf,
    /// Set by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One kind of request on one store.
struct Cell<'a> {
    name: &'static str,
    store: &'a Store,
    requests: Arc<Vec<Vec<u8>>>,
    rounds: Vec<Measured>,
}

fn main() -> ExitCode {
    run_under_bench("shop", || {
        let options = Options::parse();
        orders(&options)?;
        searches(&options)
    })
}

/// A store with products and carts, and its data.
fn start(options: &Options, shards: u32, catalog: &str) -> Result<(Store, TempDir)> {
    let data = tempfile::tempdir_in(&options.data)?;
    let file = data.path().join("catalog.jsonl");
    std::fs::File::create(&file)?.write_all(catalog.as_bytes())?;
    let store = Store::start_with(shards, "log", &data.path().join("data"), &["--catalog", utf8(&file)?])?;
    block_on(carts::fill(store.http(), CUSTOMERS, carts::LINES, FILL_CONNECTIONS))?;
    Ok((store, data))
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| "a path that is not UTF-8".into())
}

fn orders(options: &Options) -> Result<()> {
    let (one, _one_data) = start(options, 1, &requests::catalog(requests::BOOKS))?;
    let (four, _four_data) = start(options, 4, &requests::catalog(requests::BOOKS))?;
    let additions = || (0..CUSTOMERS).map(|customer| carts::add_request(customer, 0)).collect();
    let cell =
        |name, store, requests: Vec<Vec<u8>>| Cell { name, store, requests: requests.into(), rounds: Vec::new() };
    let mut cells = [
        cell("cart POST, 1 shard", &one, additions()),
        cell("purchase of one, 1 shard", &one, requests::purchases()),
        cell("paid order of one, 1 shard", &one, requests::orders(CUSTOMERS, 1)),
        cell("cart POST, 4 shards", &four, additions()),
        cell("paid order of five, 4 shards", &four, requests::orders(CUSTOMERS, 5)),
    ];
    measure(options, &mut cells, None)?;
    println!(
        "Durable, {} connections; medians of {} rounds; CPU is the servers' µs a request.\n",
        options.connections, options.rounds
    );
    println!("{:<30} {:>10} {:>9} {:>9} {:>9} {:>9}", "", "requests/s", "of POST's", "CPU", "of POST's", "p99 ms");
    for index in 0..cells.len() {
        let reference = if index < 3 { 0 } else { 3 };
        print_row(&cells[index], &cells[reference]);
    }
    Ok(())
}

fn searches(options: &Options) -> Result<()> {
    let (store, _data) = start(options, 4, &requests::catalog(options.products))?;
    let cell =
        |name, requests: Vec<Vec<u8>>| Cell { name, store: &store, requests: requests.into(), rounds: Vec::new() };
    let mut cells = [
        cell("cart GET", (0..CUSTOMERS).map(carts::read_request).collect()),
        cell("search of 10", requests::searches(options.products)),
    ];
    measure(options, &mut cells, Some(options.rate))?;
    println!("\n{} products, 4 shards, {} requests a second each.\n", options.products, options.rate);
    for cell in &cells {
        let p99 = cell.median(|round| round.latencies.value_at_quantile(0.99) as f64);
        let ratio = p99 / cells[0].median(|round| round.latencies.value_at_quantile(0.99) as f64);
        println!("{:<14} p99 {:>7.2} ms {:>6.2} of GET's", cell.name, p99 / 1e6, ratio);
    }
    Ok(())
}

fn measure(options: &Options, cells: &mut [Cell<'_>], rate: Option<f64>) -> Result<()> {
    for _ in 0..options.rounds {
        for cell in &mut *cells {
            let load = Load {
                connections: options.connections,
                threads: 1,
                warm_up: WARM_UP,
                window: Duration::from_secs_f64(options.seconds),
                rate,
                requests: Arc::clone(&cell.requests),
            };
            let measured = load.run(cell.store.http(), &cell.store.processes()?)?;
            if let Some(failure) = measured.first_failure {
                return Err(format!("{}: {} requests failed: {failure}", cell.name, measured.failed).into());
            }
            cell.rounds.push(measured);
        }
    }
    Ok(())
}

fn rate_of(round: &Measured) -> f64 {
    round.answered as f64 / round.window.as_secs_f64()
}

fn cost_of(round: &Measured) -> f64 {
    round.server.as_secs_f64() * 1e6 / round.answered as f64
}

impl Cell<'_> {
    fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }
}

fn print_row(cell: &Cell<'_>, reference: &Cell<'_>) {
    let (rate, cost) = (cell.median(rate_of), cell.median(cost_of));
    let p99 = cell.median(|round| round.latencies.value_at_quantile(0.99) as f64 / 1e6);
    println!(
        "{:<30} {rate:>10.0} {:>9.2} {cost:>9.1} {:>9.2} {p99:>9.2}",
        cell.name,
        rate / reference.median(rate_of),
        cost / reference.median(cost_of),
    );
}
