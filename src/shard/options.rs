//! The options of a shard process.

use std::path::PathBuf;

use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::{Error, Invalid, Result};
use crate::payment::PaymentKind;
use crate::routing::{Address, MAX_SHARDS};
use crate::storage::StorageKind;

/// The options of a shard.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shard: 0 to `shards` - 1.
    pub index: u32,
    /// The number of shards.
    pub shards: u32,
    /// The address to listen on.
    pub listen: Address,
    /// The data directory; made when missing.
    pub data: PathBuf,
    /// The addresses of all shards, in order; empty when not known.
    pub peers: Vec<Address>,
    /// The storage that keeps the records.
    pub storage: StorageKind,
    /// The store that it belongs to; when `None`, shard 0 of a new store makes one and others learn it.
    pub store_id: Option<Uuid>,
    /// Bytes of disk space below which writes are refused.
    pub min_free: u64,
    /// The catalog that a fresh store is filled with.
    pub catalog: Catalog,
    /// The payment gateway.
    pub payment: PaymentKind,
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
