//! The arguments after `--` of `cargo bench --bench load --`.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::harness::carts;

/// The time of load before each measurement.
const WARM_UP: Duration = Duration::from_millis(300);
/// The number of cores that one generator thread keeps busy, the server's included.
const CORES_PER_GENERATOR_THREAD: usize = 4;

/// The kind of requests that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Read a cart; storage memory.
    Get,
    /// Add to a line of a cart; storage memory.
    Post,
    /// Add to a line of a cart; every response durable.
    Durable,
}

/// Compares shardcart with a bare warp server, and with a service over Redis, under load.
#[derive(Debug, Parser)]
pub struct Options {
    /// The seconds of each measurement.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Rounds: in each, every server is measured once. The medians of the rounds are shown.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Connections that are open at once; several values make several cells.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    pub connections: Vec<usize>,
    /// Only these scenarios.
    #[arg(long, value_delimiter = ',', default_values_t = Scenario::ALL)]
    pub only: Vec<Scenario>,
    /// Shard counts that are compared; none: the bare server alone, to try the generator.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_values_t = [1, 4])]
    pub shards: Vec<u32>,
    /// Requests a second that are sent in all, whatever the server does; latencies count from the
    /// time at which a request was due. Without it every connection sends when it has its answer.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Customers, one cart each.
    #[arg(long, default_value_t = 1_000)]
    pub customers: u64,
    /// Lines of each cart.
    #[arg(long, default_value_t = carts::LINES, value_parser = clap::value_parser!(u64).range(1..=carts::MAX_LINES))]
    pub lines: u64,
    /// Threads of the load generator.
    #[arg(long, default_value_t = default_threads())]
    pub threads: usize,
    /// The directory of the stores' and Redis' data; its disk decides the durable figures.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub data: PathBuf,
    /// The storage of the durable scenario: log, or fjall alone to compare it with.
    #[arg(long, default_value = "log", value_name = "log|fjall")]
    pub durable: String,
    /// Puts the shards on TCP ports of the loopback interface instead of Unix sockets.
    #[arg(long)]
    pub tcp: bool,
    /// Leaves out the service over Redis, which takes part when `redis-server` is on the PATH.
    #[arg(long)]
    pub no_redis: bool,
    /// Set by `cargo bench`.
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Options {
    /// The storage that the stores of a scenario use.
    pub fn storage(&self, scenario: Scenario) -> &str {
        match scenario {
            Scenario::Get | Scenario::Post => "memory",
            Scenario::Durable => &self.durable,
        }
    }

    /// The time of each measurement.
    pub fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// The time of load before it.
    pub fn warm_up(&self) -> Duration {
        WARM_UP
    }
}

impl Scenario {
    /// All scenarios, in the order in which they run.
    pub const ALL: [Scenario; 3] = [Scenario::Get, Scenario::Post, Scenario::Durable];

    /// Its name in the table.
    pub fn label(self) -> &'static str {
        match self {
            Scenario::Get => "GET",
            Scenario::Post => "POST in memory",
            Scenario::Durable => "POST durable",
        }
    }

    /// Whether every answer has to wait for the disk.
    pub fn is_durable(self) -> bool {
        self == Scenario::Durable
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scenario::Get => "get",
            Scenario::Post => "post",
            Scenario::Durable => "durable",
        })
    }
}

fn default_threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (cores / CORES_PER_GENERATOR_THREAD).max(1)
}
