//! `shardcart facade`: runs the HTTP facade.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use shardcart::http::{
    self, DEFAULT_BODY_TIMEOUT, DEFAULT_HEADER_TIMEOUT, DEFAULT_MAX_CONNECTIONS, NtpServer, Options,
};
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::routing::Address;
use uuid::Uuid;

use crate::access::Access;

#[derive(Args)]
pub struct Arguments {
    /// The addresses of all shards, in order.
    #[arg(long, value_name = "ADDR,ADDR,…", value_delimiter = ',', required = true)]
    shards: Vec<Address>,
    /// Where the shop listens; may be given more than once.
    #[arg(long, value_name = "HOST:PORT", default_values = ["127.0.0.1:5000", "127.0.0.1:5001"])]
    http: Vec<SocketAddr>,
    /// Where the key-value API listens; without it, it is only at /kv/{key} of the shop.
    #[arg(long, value_name = "HOST:PORT")]
    kv: Option<SocketAddr>,
    /// Where error.log is written; without it errors go to stderr alone.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    access: Access,
    /// The store that the shards must belong to; without it, it is the first one met.
    #[arg(long, value_name = "UUID")]
    store_id: Option<Uuid>,
    /// End when standard input, a pipe from a launcher, closes.
    #[arg(long, hide = true)]
    parent_pipe: bool,
}

/// What a launcher passes on.
#[derive(Args, Clone)]
pub struct Tuning {
    /// Threads of the facade [default: one for every two cores; shards need the others].
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Connections at a time; more wait until one is closed.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS)]
    max_connections: usize,
    /// Milliseconds that the head of a request may take, and that a connection may be idle.
    #[arg(long, value_name = "MS", default_value_t = millis(DEFAULT_HEADER_TIMEOUT))]
    header_timeout_ms: u64,
    /// Milliseconds that the body of a request may take.
    #[arg(long, value_name = "MS", default_value_t = millis(DEFAULT_BODY_TIMEOUT))]
    body_timeout_ms: u64,
    /// A time server, asked in the background, that corrects the clock of the execution ids [default: the
    /// system's clock].
    #[arg(long, value_name = "HOST[:PORT]")]
    ntp_server: Option<NtpServer>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Tuning {
    /// As arguments of a facade.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--max-connections={}", self.max_connections),
            format!("--header-timeout-ms={}", self.header_timeout_ms),
            format!("--body-timeout-ms={}", self.body_timeout_ms),
        ];
        arguments.extend(self.workers.map(|workers| format!("--workers={workers}")));
        arguments.extend(self.ntp_server.iter().map(|server| format!("--ntp-server={server}")));
        arguments
    }
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(arguments.parent_pipe).context("cannot handle signals")?;
    logging::init(format, arguments.data.as_deref()).context("cannot start the log")?;
    let tuning = arguments.tuning;
    let half_the_cores = || thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let options = Options {
        shards: arguments.shards,
        http: arguments.http,
        kv: arguments.kv,
        workers: tuning.workers.unwrap_or_else(half_the_cores),
        max_connections: tuning.max_connections,
        header_timeout: Duration::from_millis(tuning.header_timeout_ms),
        body_timeout: Duration::from_millis(tuning.body_timeout_ms),
        store_id: arguments.store_id,
        access: arguments.access.settings()?,
        ntp_server: tuning.ntp_server,
        exclusive: !arguments.parent_pipe,
    };
    http::run(options, shutdown).context("facade")
}
