//! `shardcart facade`: runs the HTTP facade.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::builder::RangedU64ValueParser;
use clap::{Args, value_parser};
use shardcart::access::{Settings, Start};
use shardcart::error::{Error, Invalid};
use shardcart::http::{
    self, AccessLogOptions, DEFAULT_ACCESS_LOG_BYTES, DEFAULT_BODY_TIMEOUT, DEFAULT_HEADER_TIMEOUT,
    DEFAULT_MAX_CONNECTIONS, DEFAULT_WRITE_TIMEOUT, NtpServer, Options, Origin,
};
use shardcart::playground::Link;
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::routing::Address;
use uuid::Uuid;

use crate::access::Access;
use crate::byte_size::{ByteSize, access_log_size};
use crate::listen_address;

/// The most workers: a typing error must not start a million threads.
const MAX_WORKERS: u64 = 1_024;

const EXAMPLES: &str = "\
Examples:
  shardcart facade --shards 10.0.0.1:7000,10.0.0.2:7000 --http 0.0.0.0:5000 --api-keys keys.json
  shardcart facade --shards unix:/srv/shop/shard-0/sock --http localhost:8080

Documentation: README.md and docs/ in the source; http://127.0.0.1:5000/docs of a running facade.";

/// The longest time that a client may have.
const MAX_WRITE_TIMEOUT_MS: u64 = 3_600_000;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The addresses of all shards, in order.
    #[arg(long, value_name = "ADDR,ADDR,…", value_delimiter = ',', required = true)]
    shards: Vec<Address>,
    /// An address of the shop; may be given more than once. A name is resolved once, at the start, to its
    /// first IPv4 address.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_values = ["127.0.0.1:5000", "127.0.0.1:5001"],
        value_parser = listen_address::parse
    )]
    http: Vec<SocketAddr>,
    /// The address of the key-value API; without it, it is only at /kv/{key} of the shop.
    #[arg(long, value_name = "HOST:PORT", value_parser = listen_address::parse)]
    kv: Option<SocketAddr>,
    /// The directory of error.log and access.log; without it errors go to stderr alone.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    tuning: FacadeTuning,
    #[command(flatten)]
    access: Access,
    /// The id of the store that the shards must belong to; without it, the first shard's counts.
    #[arg(long, value_name = "UUID")]
    store_id: Option<Uuid>,
    /// The socket of the launcher of a playground.
    #[arg(long, hide = true, value_name = "unix:PATH", value_parser = playground_socket)]
    playground: Option<PathBuf>,
    /// Go on without API keys that do not work now: the launcher has started this facade before.
    #[arg(long, hide = true)]
    restarted: bool,
    /// End when standard input, a pipe from a launcher, closes.
    #[arg(long, hide = true)]
    parent_pipe: bool,
}

/// Options that a launcher passes on.
#[derive(Args, Clone)]
pub struct FacadeTuning {
    /// Threads of the facade [default: one for every two cores; shards need the others].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_WORKERS))]
    workers: Option<usize>,
    /// Connections at a time; more wait until one is closed.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub max_connections: usize,
    /// The time for the head of a request, and for an idle connection, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = millis(DEFAULT_HEADER_TIMEOUT), value_parser = value_parser!(u64).range(1..))]
    header_timeout_ms: u64,
    /// The time for the body of a request, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = millis(DEFAULT_BODY_TIMEOUT), value_parser = value_parser!(u64).range(1..))]
    body_timeout_ms: u64,
    /// The time in which a client has to take some of what is sent to it, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = millis(DEFAULT_WRITE_TIMEOUT), value_parser = value_parser!(u64).range(1..=MAX_WRITE_TIMEOUT_MS))]
    write_timeout_ms: u64,
    /// An origin whose web pages may use the store, as https://shop.example; may be given more than once.
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<Origin>,
    /// Write a line for each answer to access.log in the data directory: human or json. It has no customer's id unless
    /// SHARDCART_LOG is debug.
    #[arg(long, value_name = "human|json")]
    access_log: Option<LogFormat>,
    /// The size past which access.log becomes access.log.1, from 1MiB to 1TiB.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(DEFAULT_ACCESS_LOG_BYTES), value_parser = access_log_size)]
    access_log_size: ByteSize,
    /// A time server, asked in the background, that corrects the clock of the execution ids [default: the
    /// system's clock].
    #[arg(long, value_name = "HOST[:PORT]")]
    pub ntp_server: Option<NtpServer>,
}

/// Reads the address of a Unix socket.
fn playground_socket(text: &str) -> Result<PathBuf, Error> {
    match text.parse()? {
        Address::Unix(path) => Ok(path),
        Address::Tcp(_) => Err(Invalid::general("is not unix:PATH").into()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl FacadeTuning {
    /// The number of workers, by default one for every two cores.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are not enough connections for all of them.
    pub fn workers(&self) -> Result<usize, Error> {
        let half_the_cores = || thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let workers = self.workers.unwrap_or_else(half_the_cores);
        if self.max_connections < workers {
            return Err(Invalid::general(format!(
                "--max-connections {}: must be at least {workers}, one for each of the --workers",
                self.max_connections
            ))
            .into());
        }
        Ok(workers)
    }

    /// The access log in a facade's data directory, if one is wanted.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no directory.
    fn access_log(&self, data: Option<&Path>) -> Result<Option<AccessLogOptions>, Error> {
        let Some(format) = self.access_log else { return Ok(None) };
        let missing = || Invalid::general("--access-log: needs --data, the directory of access.log");
        let directory = data.ok_or_else(missing)?.to_owned();
        Ok(Some(AccessLogOptions { directory, format, max_bytes: self.access_log_size.0 }))
    }

    /// The options as arguments of a facade.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--max-connections={}", self.max_connections),
            format!("--header-timeout-ms={}", self.header_timeout_ms),
            format!("--body-timeout-ms={}", self.body_timeout_ms),
            format!("--write-timeout-ms={}", self.write_timeout_ms),
            format!("--access-log-size={}", self.access_log_size),
        ];
        arguments.extend(self.access_log.map(|format| format!("--access-log={format}")));
        arguments.extend(self.workers.map(|workers| format!("--workers={workers}")));
        arguments.extend(self.cors_origin.iter().map(|origin| format!("--cors-origin={origin}")));
        arguments.extend(self.ntp_server.iter().map(|server| format!("--ntp-server={server}")));
        arguments
    }
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(arguments.parent_pipe).context("cannot handle signals")?;
    logging::init(format, arguments.data.as_deref()).context("cannot start the log")?;
    let tuning = arguments.tuning;
    let workers = tuning.workers()?;
    let access_log = tuning.access_log(arguments.data.as_deref())?;
    listen_address::check_distinct(&arguments.http, arguments.kv)?;
    let start = if arguments.restarted { Start::Again } else { Start::First };
    let options = Options {
        shards: arguments.shards,
        http: arguments.http,
        kv: arguments.kv,
        workers,
        max_connections: tuning.max_connections,
        header_timeout: Duration::from_millis(tuning.header_timeout_ms),
        body_timeout: Duration::from_millis(tuning.body_timeout_ms),
        write_timeout: Duration::from_millis(tuning.write_timeout_ms),
        store_id: arguments.store_id,
        access: Settings { start, ..arguments.access.settings()? },
        cors_origins: tuning.cors_origin,
        access_log,
        ntp_server: tuning.ntp_server,
        playground: arguments.playground.map(Link::to),
        exclusive: !arguments.parent_pipe,
    };
    Ok(http::run(options, shutdown)?)
}
