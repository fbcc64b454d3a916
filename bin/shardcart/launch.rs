//! `shardcart launch`: starts and keeps a whole store.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use shardcart::catalog::Catalog;
use shardcart::launcher::{self, Options};
use shardcart::payment::PaymentKind;
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::shard::DEFAULT_MIN_FREE_BYTES;
use shardcart::storage::StorageKind;

use crate::access::Access;
use crate::facade::Tuning;

#[derive(Args)]
pub struct Arguments {
    /// How many shards, 1 to 64; a data directory keeps the number it was made with.
    #[arg(long, value_name = "N", default_value_t = 4)]
    shards: u32,
    /// Where the shop listens; may be given more than once.
    #[arg(long, value_name = "HOST:PORT", default_values = ["127.0.0.1:5000", "127.0.0.1:5001"])]
    http: Vec<SocketAddr>,
    /// Where the key-value API listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    kv: SocketAddr,
    /// Where the data is; made when missing.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// What keeps the records: fjall (on disk) or memory (lost at the end; for benchmarks).
    #[arg(long, default_value = "fjall")]
    storage: StorageKind,
    /// Bytes of disk space below which writes are refused with 503.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MIN_FREE_BYTES)]
    min_free: u64,
    /// What a fresh store is filled with: the sample, nothing, or a file (CSV or JSON).
    #[arg(long, value_name = "sample|none|FILE", default_value = "sample")]
    catalog: Catalog,
    /// Who takes payments: simulated, or the URL of a payment gateway.
    #[arg(long, value_name = "simulated|URL", default_value = "simulated")]
    payment: PaymentKind,
    #[command(flatten)]
    facade: Tuning,
    #[command(flatten)]
    access: Access,
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(false).context("cannot handle signals")?;
    logging::init(format, None).context("cannot start the log")?;
    let format = match format {
        LogFormat::Human => "human",
        LogFormat::Json => "json",
    };
    let facade = arguments.facade.arguments().into_iter().map(OsString::from).chain(arguments.access.arguments());
    let options = Options {
        shards: arguments.shards,
        http: arguments.http,
        kv: arguments.kv,
        data: arguments.data,
        storage: arguments.storage,
        catalog: arguments.catalog,
        common: vec![format!("--log-format={format}").into()],
        shard: vec![
            format!("--min-free={}", arguments.min_free).into(),
            format!("--payment={}", arguments.payment).into(),
        ],
        access: arguments.access.settings()?,
        facade: facade.collect(),
    };
    Ok(launcher::run(&options, shutdown)?)
}
