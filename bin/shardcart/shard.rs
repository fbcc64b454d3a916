//! `shardcart shard`: runs one shard.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, value_parser};
use shardcart::catalog::Catalog;
use shardcart::error::Error;
use shardcart::payment::GatewayAddress;
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::routing::{Address, MAX_SHARDS};
use shardcart::shard::{
    self, DEFAULT_COMMIT_TIMEOUT, DEFAULT_MAX_UNRESOLVED, DEFAULT_MIN_FREE_BYTES, DEFAULT_REFUSED_ORDER_BYTES,
    DEFAULT_REFUSED_ORDER_LIFETIME, Options, default_max_memory,
};
use shardcart::storage::{DEFAULT_LOG_BYTES, StorageKind};
use uuid::Uuid;

use crate::byte_size::{ByteSize, log_size};
use crate::duration::{DurationOption, commit_timeout, lifetime};

const EXAMPLES: &str = "\
Examples, of a store of two shards on two machines:
  shardcart shard --index 0 --shards 2 --listen 10.0.0.1:7000 --peers 10.0.0.1:7000,10.0.0.2:7000 --data /srv/shard-0 \
    --payment https://pay.example/
  shardcart shard --index 1 --shards 2 --listen 10.0.0.2:7000 --peers 10.0.0.1:7000,10.0.0.2:7000 --data /srv/shard-1 \
    --payment https://pay.example/

Documentation: README.md and docs/ in the source.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The number of this shard: 0 to N - 1.
    #[arg(long, value_name = "I")]
    index: u32,
    /// The number of shards in the store.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(MAX_SHARDS)))]
    shards: u32,
    /// The address to listen on: HOST:PORT or unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// The data directory of this shard; made when missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Refuse to start when the data directory has no data. For every start of a shard but its first one, as when its
    /// disk is not mounted.
    #[arg(long)]
    require_data: bool,
    /// The addresses of all shards, in order.
    #[arg(long, value_name = "ADDR,ADDR,…", value_delimiter = ',')]
    peers: Vec<Address>,
    /// The storage: log (a commit log on disk) or memory (lost at the end; for benchmarks).
    #[arg(long, default_value = "log")]
    storage: StorageKind,
    /// The id of the store that the data must belong to. Without it shard 0 of a new store makes one, and
    /// the others learn it from the first facade.
    #[arg(long, value_name = "UUID")]
    store_id: Option<Uuid>,
    /// The products that a fresh store begins with: the sample, none, or a file (CSV or JSON), of which the
    /// shard takes what is its own.
    #[arg(long, value_name = "sample|none|FILE", default_value = "sample")]
    catalog: Catalog,
    /// The payment gateway: a URL, or unix:PATH. `shardcart gateway` is one for trials.
    #[arg(long, value_name = "URL|unix:PATH")]
    payment: GatewayAddress,
    /// Send card numbers over plain http to a gateway on another machine.
    #[arg(long)]
    payment_insecure: bool,
    /// Refuse what grows with 507 while the shard counts more bytes of memory than this. By default 75% of the
    /// machine's or control group's memory.
    #[arg(long, value_name = "BYTES")]
    max_memory: Option<ByteSize>,
    #[command(flatten)]
    tuning: ShardTuning,
    /// End when standard input, a pipe from a launcher, closes.
    #[arg(long, hide = true)]
    parent_pipe: bool,
}

/// Options that a launcher passes on.
#[derive(Args, Clone)]
pub struct ShardTuning {
    /// The most bytes of each shard's commit log, from 32MiB to 3200MiB.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(DEFAULT_LOG_BYTES), value_parser = log_size)]
    log_size: ByteSize,
    /// End a shard whose disk takes longer than this for one commit, as 30s.
    #[arg(long, value_name = "DURATION", default_value_t = DurationOption(DEFAULT_COMMIT_TIMEOUT), value_parser = commit_timeout)]
    commit_timeout: DurationOption,
    /// Refuse writes with 503 when less disk space is free, as 1000000, 512MiB or 1GB.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(DEFAULT_MIN_FREE_BYTES))]
    pub min_free: ByteSize,
    /// The most orders of a shard whose card is at the payment gateway at a time, and so those that are left undecided when
    /// it falls silent. More wait, and get 503 while it is silent.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_UNRESOLVED)]
    max_unresolved_orders: usize,
    /// Remove carts that nobody has changed for so long, as 30d. Without it all are kept.
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    cart_ttl: Option<DurationOption>,
    /// Remove refused orders after so long.
    #[arg(long, value_name = "DURATION", default_value_t = DurationOption(DEFAULT_REFUSED_ORDER_LIFETIME), value_parser = lifetime)]
    keep_refused_orders: DurationOption,
    /// Remove the oldest refused orders of a shard when all of them have more bytes than this.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(DEFAULT_REFUSED_ORDER_BYTES))]
    refused_orders_size: ByteSize,
}

impl ShardTuning {
    /// The options as arguments of a shard.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--log-size={}", self.log_size),
            format!("--commit-timeout={}", self.commit_timeout),
            format!("--min-free={}", self.min_free),
            format!("--max-unresolved-orders={}", self.max_unresolved_orders),
            format!("--keep-refused-orders={}", self.keep_refused_orders),
            format!("--refused-orders-size={}", self.refused_orders_size),
        ];
        arguments.extend(self.cart_ttl.map(|lifetime| format!("--cart-ttl={lifetime}")));
        arguments
    }
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(arguments.parent_pipe).context("cannot handle signals")?;
    logging::init(format, Some(&arguments.data)).context("cannot start the log")?;
    arguments.payment.check_encrypted(arguments.payment_insecure)?;
    let tuning = arguments.tuning;
    let options = Options {
        index: arguments.index,
        shards: arguments.shards,
        listen: arguments.listen,
        data: arguments.data,
        require_data: arguments.require_data,
        peers: arguments.peers,
        storage: arguments.storage,
        log_bytes: tuning.log_size.0,
        commit_timeout: tuning.commit_timeout.0,
        store_id: arguments.store_id,
        min_free: tuning.min_free.0,
        catalog: arguments.catalog,
        payment: arguments.payment,
        max_unresolved_orders: tuning.max_unresolved_orders,
        max_memory: arguments.max_memory.map_or_else(|| default_max_memory(1), |bytes| bytes.0),
        cart_lifetime: tuning.cart_ttl.map(|lifetime| lifetime.0),
        refused_order_lifetime: tuning.keep_refused_orders.0,
        refused_order_bytes: tuning.refused_orders_size.0,
    };
    shard::run(options, shutdown).map_err(|error| match error {
        // The error names its option already.
        Error::Invalid(_) => error.into(),
        _ => anyhow::Error::new(error).context(format!("shard {} of {}", arguments.index, arguments.shards)),
    })
}
