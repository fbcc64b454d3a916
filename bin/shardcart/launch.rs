//! `shardcart launch`: starts and keeps a whole store.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, value_parser};
use shardcart::catalog::Catalog;
use shardcart::launcher::{self, DEFAULT_ANSWER_TIMEOUT, MAX_LOCAL_SHARDS, Options, PaymentKind};
use shardcart::playground;
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::shard::default_max_memory;
use shardcart::storage::StorageKind;

use crate::access::Access;
use crate::byte_size::ByteSize;
use crate::duration::{DurationOption, answer_timeout};
use crate::facade::FacadeTuning;
use crate::listen_address;
use crate::shard::ShardTuning;

const EXAMPLES: &str = "\
Examples:
  shardcart launch
  shardcart launch --shards 8 --data /srv/shop --min-free 1GB
  shardcart launch --http localhost:8080 --kv localhost:8081 --catalog books.csv
  shardcart launch --http 0.0.0.0:5000 --api-keys keys.json
  shardcart launch --playground

Documentation: README.md and docs/ in the source; http://127.0.0.1:5000/docs of a running store.";

/// The data directory of a store that is no playground.
const DEFAULT_DATA: &str = "data";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The number of shards, 1 to 64; a data directory keeps the number it was made with.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u32).range(1..=i64::from(MAX_LOCAL_SHARDS)))]
    pub shards: u32,
    /// An address of the shop; may be given more than once. A name is resolved once, at the start, to its
    /// first IPv4 address.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_values = ["127.0.0.1:5000", "127.0.0.1:5001"],
        value_parser = listen_address::parse
    )]
    pub http: Vec<SocketAddr>,
    /// The address of the key-value API.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000", value_parser = listen_address::parse)]
    pub kv: SocketAddr,
    /// The data directory; made when missing [default: data; of a playground: one among the system's temporary files].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Start a playground: a store of its own with simulated shoppers, whose processes can be crashed from its page. Its
    /// data directory must not exist yet, and is removed at the end.
    #[arg(long)]
    playground: bool,
    /// Leave the data directory of a playground at its end.
    #[arg(long, requires = "playground")]
    keep: bool,
    /// The storage: log (a commit log on disk) or memory (lost at the end; for benchmarks).
    #[arg(long, default_value = "log")]
    storage: StorageKind,
    /// Kill and restart a child that lives but has not answered for so long, as 30s. Loading counts as an answer.
    #[arg(long, value_name = "DURATION", default_value_t = DurationOption(DEFAULT_ANSWER_TIMEOUT), value_parser = answer_timeout)]
    answer_timeout: DurationOption,
    /// The products that a fresh store begins with: the sample, none, or a file (CSV or JSON).
    #[arg(long, value_name = "sample|none|FILE", default_value = "sample")]
    catalog: Catalog,
    /// The payment gateway: simulated, a URL, or unix:PATH. The simulated one is started too, and takes no money.
    #[arg(long, value_name = "simulated|URL|unix:PATH", default_value = "simulated")]
    payment: PaymentKind,
    /// Send card numbers over plain http to a gateway on another machine.
    #[arg(long)]
    payment_insecure: bool,
    /// Refuse what grows with 507 while each shard counts more bytes of memory than this. By default 75% of the machine's or
    /// control group's memory, divided by the shards.
    #[arg(long, value_name = "BYTES")]
    pub max_memory: Option<ByteSize>,
    #[command(flatten)]
    pub shard: ShardTuning,
    #[command(flatten)]
    pub facade: FacadeTuning,
    #[command(flatten)]
    pub access: Access,
}

impl Arguments {
    /// The data directory of a store that is no playground.
    pub fn store_directory(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| DEFAULT_DATA.into())
    }
}

pub fn run(arguments: Arguments, format: LogFormat, allow_core_dumps: bool) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(false).context("cannot handle signals")?;
    logging::init(format, None).context("cannot start the log")?;
    // The facade checks the same, but only when everything else runs.
    listen_address::check_distinct(&arguments.http, Some(arguments.kv))?;
    arguments.facade.workers()?;
    let mut common = vec![format!("--log-format={format}").into()];
    common.extend(allow_core_dumps.then(|| "--allow-core-dumps".into()));
    let facade = arguments.facade.arguments().into_iter().map(OsString::from).chain(arguments.access.arguments());
    let mut shard = arguments.shard.arguments();
    let max_memory = arguments.max_memory.unwrap_or_else(|| ByteSize(default_max_memory(arguments.shards)));
    shard.push(format!("--max-memory={}", max_memory.0));
    let data = arguments.store_directory();
    let options = Options {
        shards: arguments.shards,
        http: arguments.http,
        kv: arguments.kv,
        data,
        storage: arguments.storage,
        catalog: arguments.catalog,
        min_free: arguments.shard.min_free.0,
        payment: arguments.payment,
        payment_insecure: arguments.payment_insecure,
        answer_timeout: arguments.answer_timeout.0,
        common,
        shard: shard.into_iter().map(OsString::from).collect(),
        access: arguments.access.settings()?,
        facade: facade.collect(),
        environment: Vec::new(),
        notes: Vec::new(),
        is_quiet: false,
    };
    if arguments.playground {
        let options = playground::Options { store: options, data: arguments.data, is_kept: arguments.keep };
        return Ok(playground::run(options, shutdown)?);
    }
    Ok(launcher::run(&options, shutdown)?)
}
