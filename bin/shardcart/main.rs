//! temporary
use clap::Parser;
use shardcart::*;
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
#[derive(Parser)]
enum Cli {
    Shard {
        #[arg(long)]
        index: u32,
        #[arg(long)]
        shards: u32,
        #[arg(long)]
        listen: address::Address,
        #[arg(long)]
        data: std::path::PathBuf,
        #[arg(long, default_value = "fjall")]
        storage: storage::StorageKind,
    },
    Facade {
        #[arg(long, value_delimiter = ',')]
        shards: Vec<address::Address>,
        #[arg(long)]
        http: Vec<std::net::SocketAddr>,
        #[arg(long)]
        kv: Option<std::net::SocketAddr>,
        #[arg(long, default_value = "2")]
        workers: usize,
    },
}
fn main() {
    let s = shutdown::Shutdown::on_signals(false).unwrap();
    let r = match Cli::parse() {
        Cli::Shard { index, shards, listen, data, storage } => shard::run(
            shard::Options { index, shards, listen, data, peers: vec![], storage, store_id: None, min_free: 1 << 28 },
            s,
        ),
        Cli::Facade { shards, http, kv, workers } => http::run(
            http::Options {
                shards,
                http,
                kv,
                workers,
                max_connections: 10000,
                header_timeout: http::DEFAULT_HEADER_TIMEOUT,
                body_timeout: http::DEFAULT_BODY_TIMEOUT,
                store_id: None,
                exclusive: true,
            },
            s,
        ),
    };
    r.unwrap();
}
