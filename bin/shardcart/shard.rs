//! `shardcart shard`: runs one shard.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use shardcart::catalog::Catalog;
use shardcart::payment::PaymentKind;
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::routing::Address;
use shardcart::shard::{self, DEFAULT_MIN_FREE_BYTES, Options};
use shardcart::storage::StorageKind;
use uuid::Uuid;

#[derive(Args)]
pub struct Arguments {
    /// Which shard this is: 0 to N - 1.
    #[arg(long, value_name = "I")]
    index: u32,
    /// How many shards there are.
    #[arg(long, value_name = "N")]
    shards: u32,
    /// Where to listen: HOST:PORT or unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// Where the data is; made when missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The addresses of all shards, in order.
    #[arg(long, value_name = "ADDR,ADDR,…", value_delimiter = ',')]
    peers: Vec<Address>,
    /// What keeps the records: fjall (on disk) or memory (lost at the end; for benchmarks).
    #[arg(long, default_value = "fjall")]
    storage: StorageKind,
    /// The store that the data must belong to. Without it shard 0 of a new store makes an id, and the
    /// others learn it from the first facade.
    #[arg(long, value_name = "UUID")]
    store_id: Option<Uuid>,
    /// Bytes of disk space below which writes are refused with 503.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MIN_FREE_BYTES)]
    min_free: u64,
    /// What a fresh store is filled with: the sample, nothing, or a file (CSV or JSON), of which the shard
    /// takes what is its own.
    #[arg(long, value_name = "sample|none|FILE", default_value = "sample")]
    catalog: Catalog,
    /// Who takes payments: simulated, or the URL of a payment gateway.
    #[arg(long, value_name = "simulated|URL", default_value = "simulated")]
    payment: PaymentKind,
    /// End when standard input, a pipe from a launcher, closes.
    #[arg(long, hide = true)]
    parent_pipe: bool,
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(arguments.parent_pipe).context("cannot handle signals")?;
    logging::init(format, Some(&arguments.data)).context("cannot start the log")?;
    let options = Options {
        index: arguments.index,
        shards: arguments.shards,
        listen: arguments.listen,
        data: arguments.data,
        peers: arguments.peers,
        storage: arguments.storage,
        store_id: arguments.store_id,
        min_free: arguments.min_free,
        catalog: arguments.catalog,
        payment: arguments.payment,
    };
    shard::run(options, shutdown).with_context(|| format!("shard {} of {}", arguments.index, arguments.shards))
}
