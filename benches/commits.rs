//! Commits alone, in a loop: the commit log beside fjall with its own journal, and the disk below both.
//!
//! Each measurement is a process of its own, so that its processor time and its written bytes are told apart. The options:
//! `cargo bench --bench commits -- --help`.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

#[path = "harness/mod.rs"]
#[allow(dead_code, reason = "every benchmark uses its own part of the harness")]
mod harness;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use shardcart::domain::cart::{Cart, Line, Offer};
use shardcart::domain::money::Money;
use shardcart::domain::time::Timestamp;
use shardcart::routing::{ItemId, KeyHash, SLOTS};
use shardcart::storage::{DEFAULT_LOG_BYTES, Record, RecordKey, RecordKind, Space, StorageKind, Write, codec};

use harness::procfs::own_processor_time;
use harness::{BENCH_FLAG, Result, run_under_bench};

/// The time of commits before each measurement.
const WARM_UP: Duration = Duration::from_millis(500);
/// The customers of a cell with few hot keys.
const HOT_KEYS: u64 = 1_000;
/// The customers of the cell with many.
const ALL_KEYS: u64 = 1_000_000;
/// The lines of every cart.
const LINES: u64 = 5;
/// Bytes of one write to the disk alone, and of the file that takes it.
const BLOCK_BYTES: usize = 4_096;
const FILE_BYTES: u64 = 16 << 20;

/// What is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cell {
    /// One effect a commit, 1,000 keys.
    Hot1,
    /// 8 effects a commit, 1,000 keys.
    Hot8,
    /// 32 effects a commit, a million keys.
    Wide32,
    /// Four processes at once, 8 effects a commit, 1,000 keys each.
    Four8,
    /// The disk alone: one process and then four write 4 KiB each, directly and synced, to a file that is there, or append
    /// them to one that grows.
    Disk,
}

/// Compares commits to the log with commits to fjall.
#[derive(Debug, Parser)]
struct Options {
    /// The seconds of each measurement.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Rounds: in each, both are measured once. The medians of the rounds are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these cells.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Cell::Hot1, Cell::Hot8, Cell::Wide32, Cell::Four8, Cell::Disk])]
    only: Vec<Cell>,
    /// The directory of the data; its disk decides the figures.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    data: PathBuf,
    /// Measures one thing in this process and prints it as JSON.
    #[arg(long, hide = true)]
    measure: Option<String>,
    /// Set by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one process measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Measured {
    /// Effects or writes a second.
    rate: f64,
    /// Microseconds of processor time an effect.
    cpu: f64,
    /// Bytes written to the disk an effect.
    bytes: f64,
    /// Microseconds of a commit.
    p50: f64,
    p99: f64,
    p999: f64,
}

fn main() -> ExitCode {
    run_under_bench("commits", || {
        let options = Options::parse();
        options.measure.as_deref().map_or_else(|| compare(&options), |name| measure(name, &options))
    })
}

/// Measures all cells, and prints the medians.
fn compare(options: &Options) -> Result<()> {
    println!("{} rounds of {} s; CPU and bytes an effect, times in us", options.rounds, options.seconds);
    println!("{:<28} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "effects/s", "CPU us", "bytes", "p50", "p99", "p99.9");
    for &cell in &options.only {
        match cell {
            Cell::Disk => {
                for processes in [1, 4] {
                    compare_cell(options, "disk", processes, ["preallocated", "growing"])?;
                }
            }
            Cell::Four8 => compare_cell(options, "hot8", 4, ["log", "fjall"])?,
            Cell::Hot1 => compare_cell(options, "hot1", 1, ["log", "fjall"])?,
            Cell::Hot8 => compare_cell(options, "hot8", 1, ["log", "fjall"])?,
            Cell::Wide32 => compare_cell(options, "wide32", 1, ["log", "fjall"])?,
        }
    }
    Ok(())
}

fn compare_cell(options: &Options, cell: &str, processes: usize, contestants: [&str; 2]) -> Result<()> {
    let mut results = [Vec::new(), Vec::new()];
    for round in 0..options.rounds {
        // The one that goes first changes, so that a machine that slows down harms both.
        for at in [round % 2, 1 - round % 2] {
            results[at].push(run(options, &format!("{cell}/{}", contestants[at]), processes)?);
        }
    }
    let medians = results.map(|all| median(&all));
    for (name, median) in contestants.iter().zip(&medians) {
        print_row(&format!("{cell} x{processes} {name}"), median);
    }
    let [one, other] = medians;
    println!(
        "{:<28} {:>9.2}x {:>7.2}x {:>7.2}x {:>7.2}x {:>7.2}x {:>7.2}x\n",
        "",
        one.rate / other.rate,
        one.cpu / other.cpu,
        one.bytes / other.bytes,
        one.p50 / other.p50,
        one.p99 / other.p99,
        one.p999 / other.p999,
    );
    Ok(())
}

fn print_row(name: &str, row: &Measured) {
    println!(
        "{name:<28} {:>10.0} {:>8.2} {:>8.0} {:>8.0} {:>8.0} {:>8.0}",
        row.rate, row.cpu, row.bytes, row.p50, row.p99, row.p999
    );
}

fn median(all: &[Measured]) -> Measured {
    let of = |field: fn(&Measured) -> f64| {
        let mut values: Vec<_> = all.iter().map(field).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Measured {
        rate: of(|one| one.rate),
        cpu: of(|one| one.cpu),
        bytes: of(|one| one.bytes),
        p50: of(|one| one.p50),
        p99: of(|one| one.p99),
        p999: of(|one| one.p999),
    }
}

/// Runs processes at once, and adds up their rates; of the rest it takes the mean.
fn run(options: &Options, name: &str, processes: usize) -> Result<Measured> {
    let directory = tempfile::tempdir_in(&options.data)?;
    let mut children = Vec::new();
    for process in 0..processes {
        let data = directory.path().join(process.to_string());
        fs::create_dir(&data)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([BENCH_FLAG, "--measure", name, "--seconds", &options.seconds.to_string(), "--data"]).arg(data);
        children.push(command.stdout(Stdio::piped()).spawn()?);
    }
    let mut sum = Measured { rate: 0.0, cpu: 0.0, bytes: 0.0, p50: 0.0, p99: 0.0, p999: 0.0 };
    let share = 1.0 / processes as f64;
    for child in children {
        let output = child.wait_with_output()?;
        let one: Measured = serde_json::from_slice(&output.stdout)?;
        sum.rate += one.rate;
        sum.cpu += one.cpu * share;
        sum.bytes += one.bytes * share;
        sum.p50 += one.p50 * share;
        sum.p99 += one.p99 * share;
        sum.p999 += one.p999 * share;
    }
    Ok(sum)
}

fn measure(name: &str, options: &Options) -> Result<()> {
    let window = Duration::from_secs_f64(options.seconds);
    let measured = match name.split_once('/').ok_or("a cell and a contestant")? {
        ("disk", contestant) => {
            let mut disk = DiskLoop::open(&options.data, contestant == "preallocated")?;
            repeat(window, 1, || disk.write())?
        }
        (cell, kind) => {
            let (keys, effects) = match cell {
                "hot1" => (HOT_KEYS, 1),
                "hot8" => (HOT_KEYS, 8),
                _ => (ALL_KEYS, 32),
            };
            let storage = kind
                .parse::<StorageKind>()?
                .open(&options.data, Space { log_bytes: DEFAULT_LOG_BYTES, min_free: 0 })?;
            storage.load(&RecordKind::LOADED, &(0..=SLOTS - 1), &mut |_, _| Ok(()))?;
            let mut next = 0_u64;
            repeat(window, effects, || {
                let batch: Vec<_> = (0..effects)
                    .map(|_| {
                        next += 1;
                        // A fixed walk that jumps about, so that no neighbour helps.
                        effect(next.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys, next)
                    })
                    .collect();
                Ok(storage.commit_next(&batch)?)
            })?
        }
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// Repeats a commit for a time, after a warm-up.
fn repeat(window: Duration, effects: u64, mut commit: impl FnMut() -> Result<()>) -> Result<Measured> {
    let warm = Instant::now();
    while warm.elapsed() < WARM_UP {
        commit()?;
    }
    let mut latencies = Histogram::<u64>::new(3)?;
    let (began, processor, written) = (Instant::now(), own_processor_time(), written_bytes()?);
    while began.elapsed() < window {
        let start = Instant::now();
        commit()?;
        latencies.record(start.elapsed().as_micros() as u64)?;
    }
    let count = (latencies.len() * effects) as f64;
    let processor = own_processor_time().checked_sub(processor).unwrap_or_default();
    Ok(Measured {
        rate: count / began.elapsed().as_secs_f64(),
        cpu: processor.as_secs_f64() * 1e6 / count,
        bytes: (written_bytes()? - written) as f64 / count,
        p50: latencies.value_at_quantile(0.5) as f64,
        p99: latencies.value_at_quantile(0.99) as f64,
        p999: latencies.value_at_quantile(0.999) as f64,
    })
}

/// The bytes that this process has had written to disks.
fn written_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    bytes.ok_or_else(|| "/proc/self/io has no write_bytes".into())
}

/// One synced write of a block after the other.
struct DiskLoop {
    file: File,
    block: Vec<u8>,
    /// Where the block is aligned for direct I/O.
    aligned: usize,
    offset: u64,
    is_preallocated: bool,
}

impl DiskLoop {
    fn open(directory: &Path, is_preallocated: bool) -> Result<Self> {
        let path = directory.join("file");
        let mut file = File::create(&path)?;
        if is_preallocated {
            file.write_all(&vec![0; FILE_BYTES as usize])?;
            file.sync_all()?;
            let flags = (OFlags::DIRECT | OFlags::DSYNC).bits() as i32;
            file = OpenOptions::new().write(true).custom_flags(flags).open(&path)?;
        }
        let block = vec![1; 2 * BLOCK_BYTES];
        let aligned = block.as_ptr().align_offset(BLOCK_BYTES);
        Ok(DiskLoop { file, block, aligned, offset: 0, is_preallocated })
    }

    fn write(&mut self) -> Result<()> {
        let block = &self.block[self.aligned..][..BLOCK_BYTES];
        self.file.write_all_at(block, self.offset)?;
        self.offset += BLOCK_BYTES as u64;
        if self.is_preallocated {
            self.offset %= FILE_BYTES;
        } else {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// The newest cart of a customer.
fn effect(customer: u64, version: u64) -> Write {
    let line = |line: u64| Line {
        item: ItemId::new(format!("item-{:016}", customer * LINES + line)).expect("digits and letters"),
        offer: Offer {
            price: Money::from_hundredths(1_099 + line * 687).expect("a small price"),
            special_sale: false,
            sale_expiration: None,
        },
        count: 1,
    };
    let updated_at = Timestamp::from_micros(1_735_689_600_000_000).ok();
    let cart = Cart { version, updated_at, lines: (0..LINES).map(line).collect(), checkout: None };
    let id = format!("customer-{customer:07}");
    let key = RecordKey { hash: KeyHash::of(&id), kind: RecordKind::Cart, id: id.as_bytes() };
    Write::Put(Record::new(key, &codec::encode_cart(&cart)))
}
