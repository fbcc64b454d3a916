//! Carts at a fixed rate while, one after the other, something that they do not depend on misbehaves: the payment gateway,
//! a product's shard, the disk, and slow clients. Prints errors and p99 of each phase, and fails when there was an error.
//!
//! `cargo bench --bench storm`; options after `--`, see `--help`.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

#[path = "harness/mod.rs"]
#[allow(dead_code, reason = "every benchmark uses its own part of the harness")]
mod harness;

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use rustix::process::{Pid, Signal, kill_process};
use shardcart::process::descriptors;
use shardcart::routing::{KeyHash, SlotTable};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use harness::connection::Connection;
use harness::store::Store;
use harness::{Result, block_on, procfs, run_under_bench};

const SHARDS: u32 = 4;
/// The shard that is stopped; no customer of the carts is on it.
const CULPRIT: u32 = 3;
/// Connections that change and read carts.
const CONNECTIONS: u64 = 32;
/// The carts of each connection.
const CARTS_EACH: usize = 20;
/// Connections that place paid orders, one after the other.
const BUYERS: usize = 16;
/// Slow clients that are connected at a time.
const SLOW_CLIENTS: usize = 2_000;
/// The time from one byte of a slow client to the next.
const BYTE_INTERVAL: Duration = Duration::from_secs(1);
/// The file descriptors of this process that the slow clients and all others need.
const NEEDED_DESCRIPTORS: u64 = SLOW_CLIENTS as u64 + 256;
/// The longest wait for one answer; what takes longer is an error.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that the disk is kept busy with, between two syncs.
const DISK_BYTES: usize = 4 << 20;

/// Measures carts while other parts of the store misbehave.
#[derive(Debug, Parser)]
struct Options {
    /// The seconds of each phase.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Requests for carts a second, in all.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// The directory of the store's data.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    data: PathBuf,
    /// Set by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    run_under_bench("storm", || run(&Options::parse()))
}

/// What misbehaves in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Gateway,
    Shard,
    Disk,
    SlowClients,
}

fn run(options: &Options) -> Result<()> {
    if descriptors::raise_limit() < NEEDED_DESCRIPTORS {
        return Err(format!("{SLOW_CLIENTS} slow clients need {NEEDED_DESCRIPTORS} file descriptors").into());
    }
    let data = tempfile::tempdir_in(&options.data)?;
    let store = Store::start_with(SHARDS, "log", data.path(), &[])?;
    block_on(make_books(store.http()))?;
    println!("{} requests for carts a second, {} s a phase", options.rate, options.seconds);
    println!("{:<34} {:>9} {:>7} {:>9} {:>9} {:>9}", "", "answers", "errors", "p50 ms", "p99 ms", "to quiet");
    let (mut quiet, mut failed) = (None, 0);
    for (name, trouble) in [
        ("quiet", Trouble::None),
        ("gateway stopped, paid orders", Trouble::Gateway),
        ("a product's shard stopped, orders", Trouble::Shard),
        ("disk busy with synced writes", Trouble::Disk),
        ("2,000 slow clients", Trouble::SlowClients),
        ("quiet again", Trouble::None),
    ] {
        let phase = Phase { store: &store, options, data: data.path(), trouble };
        let Measured { errors, latencies } = phase.run()?;
        let millis = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        let (median, p99, answers) = (millis(0.5), millis(0.99), latencies.len());
        let ratio = p99 / *quiet.get_or_insert(p99);
        println!("{name:<34} {answers:>9} {errors:>7} {median:>9.2} {p99:>9.2} {ratio:>9.2}");
        failed += errors;
    }
    store.stop()?;
    if failed > 0 { Err(format!("{failed} requests for carts failed").into()) } else { Ok(()) }
}

struct Phase<'a> {
    store: &'a Store,
    options: &'a Options,
    data: &'a Path,
    trouble: Trouble,
}

struct Measured {
    errors: u64,
    latencies: Histogram<u64>,
}

impl Phase<'_> {
    fn run(&self) -> Result<Measured> {
        let http = self.store.http();
        let stopped = self.stopped()?;
        if let Some(process) = stopped {
            kill_process(process, Signal::STOP)?;
        }
        let ends = Arc::new(AtomicBool::new(false));
        let disk = (self.trouble == Trouble::Disk).then(|| {
            let (file, ends) = (self.data.join("busy"), ends.clone());
            thread::spawn(move || keep_disk_busy(&file, &ends))
        });
        let measured = block_on(async {
            let mut beside = JoinSet::new();
            match self.trouble {
                Trouble::Gateway | Trouble::Shard => {
                    (0..BUYERS).for_each(|buyer| _ = beside.spawn(buy(http, buyer, self.trouble)));
                }
                Trouble::SlowClients => (0..SLOW_CLIENTS).for_each(|number| _ = beside.spawn(dribble(http, number))),
                Trouble::None | Trouble::Disk => {}
            }
            self.carts(http).await
        });
        ends.store(true, Ordering::Relaxed);
        if let Some(process) = stopped {
            kill_process(process, Signal::CONT)?;
        }
        if let Some(disk) = disk {
            disk.join().map_err(|_| "the disk's thread failed")??;
        }
        measured
    }

    /// The process that is stopped in this phase.
    fn stopped(&self) -> Result<Option<Pid>> {
        let argument = match self.trouble {
            Trouble::Gateway => "gateway".to_owned(),
            Trouble::Shard => format!("shard-{CULPRIT}"),
            Trouble::None | Trouble::Disk | Trouble::SlowClients => return Ok(None),
        };
        for process in self.store.processes()?.into_iter().skip(1) {
            let arguments = procfs::arguments(process)?;
            let is_it = match self.trouble {
                Trouble::Gateway => arguments.get(1) == Some(&argument),
                _ => {
                    arguments.get(1).is_some_and(|role| role == "shard")
                        && arguments.iter().any(|part| part.ends_with(&argument))
                }
            };
            if is_it {
                return Ok(i32::try_from(process).ok().and_then(Pid::from_raw));
            }
        }
        Err(format!("no process of the store has the argument {argument}").into())
    }

    /// Changes and reads carts at the rate, from the time at which each request is due.
    async fn carts(&self, http: SocketAddr) -> Result<Measured> {
        let table = SlotTable::initial(SHARDS)?;
        let mut customers = (0..)
            .map(|number| format!("storm-{number}"))
            .filter(|customer| table.owner(KeyHash::of(customer)) != CULPRIT);
        let period = Duration::from_secs_f64(CONNECTIONS as f64 / self.options.rate as f64);
        let until = Instant::now() + Duration::from_secs(self.options.seconds);
        let mut tasks = JoinSet::new();
        for connection in 0..CONNECTIONS {
            let customers: Vec<_> = customers.by_ref().take(CARTS_EACH).collect();
            let start = Instant::now() + period.mul_f64(connection as f64 / CONNECTIONS as f64);
            tasks.spawn(use_carts(http, customers, start, period, until));
        }
        let mut all = Measured { errors: 0, latencies: Histogram::new(3)? };
        while let Some(ended) = tasks.join_next().await {
            let one = ended??;
            all.errors += one.errors;
            all.latencies.add(one.latencies)?;
        }
        Ok(all)
    }
}

async fn use_carts(
    http: SocketAddr,
    customers: Vec<String>,
    start: Instant,
    period: Duration,
    until: Instant,
) -> Result<Measured> {
    let mut measured = Measured { errors: 0, latencies: Histogram::new(3)? };
    let mut connection = Connection::open(http).await?;
    let mut due = start;
    for number in 0_usize.. {
        if due >= until {
            break;
        }
        tokio::time::sleep_until(due).await;
        let customer = &customers[number % customers.len()];
        let request = if number % 2 == 0 { add(customer) } else { read(customer) };
        match timeout(ANSWER_TIMEOUT, connection.exchange(&request)).await {
            Ok(Ok(answer)) if answer.is_success() => {}
            Ok(Ok(_)) => measured.errors += 1,
            Ok(Err(_)) | Err(_) => {
                measured.errors += 1;
                connection = Connection::open(http).await?;
            }
        }
        measured.latencies.record(due.elapsed().as_micros() as u64)?;
        due += period;
    }
    Ok(measured)
}

fn add(customer: &str) -> Vec<u8> {
    post(&format!("/item/{customer}/tea"), r#"{"offeredPrice": 12.10, "itemCount": 1}"#)
}

fn read(customer: &str) -> Vec<u8> {
    format!("GET /items/{customer} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Places orders one after the other, whatever the answers are.
async fn buy(http: SocketAddr, buyer: usize, trouble: Trouble) -> io::Result<()> {
    let isbn = book(trouble == Trouble::Shard).map_err(io::Error::other)?;
    let items = format!(r#"[{{"isbn":"{isbn}","quantity":1}}]"#);
    let payment = r#"{"card_number":"4242424242424242"}"#;
    let request =
        post("/api/orders", &format!(r#"{{"customer_id":"buyer-{buyer}","items":{items},"payment":{payment}}}"#));
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = Connection::open(http).await?;
    loop {
        pace.tick().await;
        if connection.exchange(&request).await.is_err() {
            connection = Connection::open(http).await?;
        }
    }
}

/// The ISBN of a book, on the culprit or on another shard.
fn book(on_culprit: bool) -> Result<String> {
    let table = SlotTable::initial(SHARDS)?;
    let mut isbns = (0..).map(|number| format!("978-{number}"));
    let found = isbns.find(|isbn| (table.owner(KeyHash::of(isbn)) == CULPRIT) == on_culprit);
    Ok(found.expect("there is always one more number"))
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let head = "Host: localhost\r\nX-API-Key: secret123\r\nContent-Type: application/json";
    format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn make_books(http: SocketAddr) -> Result<()> {
    let mut connection = Connection::open(http).await?;
    for on_culprit in [false, true] {
        let body = format!(r#"{{"isbn":"{}","title":"Storm","price":12.10,"stock":1000000}}"#, book(on_culprit)?);
        let answer = connection.exchange(&post("/catalog/books", &body)).await?;
        if !answer.is_success() {
            return Err(format!("a book could not be made: {}", answer.describe()).into());
        }
    }
    Ok(())
}

/// Sends a request a byte a second. Each client begins at another moment of a second: that all send at once would measure
/// this process.
async fn dribble(http: SocketAddr, number: usize) -> io::Result<()> {
    tokio::time::sleep(BYTE_INTERVAL.mul_f64(number as f64 / SLOW_CLIENTS as f64)).await;
    loop {
        let mut stream = TcpStream::connect(http).await?;
        let mut pace = interval(BYTE_INTERVAL);
        for byte in read("slow") {
            pace.tick().await;
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    }
}

fn keep_disk_busy(path: &Path, ends: &AtomicBool) -> io::Result<()> {
    let block = vec![7; DISK_BYTES];
    while !ends.load(Ordering::Relaxed) {
        let mut file = File::create(path)?;
        file.write_all(&block)?;
        file.sync_all()?;
    }
    std::fs::remove_file(path)
}
