//! The options of a shard process.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::{Error, Invalid, Result};
use crate::payment::GatewayAddress;
use crate::process::memory;
use crate::routing::{Address, MAX_SHARDS};
use crate::storage::StorageKind;

/// The longest time that the device may take for one commit, by default.
pub const DEFAULT_COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The part of the memory limit that all shards of a machine take by default, in percent.
const SHARE_OF_MEMORY: u64 = 75;

/// The memory limit of each of so many shards on this machine, by default, in bytes.
pub fn default_max_memory(shards: u32) -> u64 {
    memory::limit().map_or(u64::MAX, |limit| limit / 100 * SHARE_OF_MEMORY / u64::from(shards.max(1)))
}

/// The time for which a refused order is kept, by default: 30 days.
pub const DEFAULT_REFUSED_ORDER_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The bytes of refused orders that a shard keeps, by default.
pub const DEFAULT_REFUSED_ORDER_BYTES: u64 = 64 << 20;

/// The options of a shard process.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shard's number: 0 to `shards` - 1.
    pub index: u32,
    /// The number of shards.
    pub shards: u32,
    /// The address to listen on.
    pub listen: Address,
    /// The data directory, which is created when missing.
    pub data: PathBuf,
    /// True when the directory must have data: a shard that lost them must not begin a new store in their place.
    pub require_data: bool,
    /// The addresses of all shards, in order; empty when unknown.
    pub peers: Vec<Address>,
    /// The storage that keeps the records.
    pub storage: StorageKind,
    /// The most bytes of the commit log.
    pub log_bytes: u64,
    /// The longest time that the device may take for one commit.
    pub commit_timeout: Duration,
    /// The id of its store. When `None`, shard 0 of a new store chooses one, and the others learn it.
    pub store_id: Option<Uuid>,
    /// The free disk space below which writes are refused, in bytes.
    pub min_free: u64,
    /// The catalog with which a new store begins.
    pub catalog: Catalog,
    /// The most undecided orders without a waiting customer. Past that, paid orders are refused.
    pub max_unresolved_orders: usize,
    /// The memory that the shard counts itself, past which it takes nothing that grows, in bytes.
    pub max_memory: u64,
    /// The time after which a cart that is not touched is removed; `None` to keep all.
    pub cart_lifetime: Option<Duration>,
    /// The time for which a refused order is kept.
    pub refused_order_lifetime: Duration,
    /// The bytes of refused orders past which the oldest are removed.
    pub refused_order_bytes: u64,
    /// The payment gateway.
    pub payment: GatewayAddress,
}

impl Options {
    /// Checks that the options fit together.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names an option.
    pub fn check(&self) -> Result<()> {
        let Options { index, shards, peers, .. } = self;
        if *shards == 0 || *shards > MAX_SHARDS {
            return Err(Invalid::general(format!("--shards {shards}: must be 1 to {MAX_SHARDS}")).into());
        }
        if index >= shards {
            return Err(Invalid::general(format!("--index {index}: must be less than --shards {shards}")).into());
        }
        if !peers.is_empty() && peers.len() != *shards as usize {
            return Err(Error::invalid("--peers", format!("{} addresses for {shards} shards", peers.len())));
        }
        Ok(())
    }
}
