//! The context that all sessions and background tasks of a shard share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Instant;

use super::damages::Damages;
use super::disk::FreeSpace;
use super::engine::{ReplyTimes, SharedWriter};
use super::removals::Removals;
use super::saga::Coordinator;
use super::startup::Identity;
use super::stored_reads::StoredReads;
use crate::process::shutdown::Shutdown;
use crate::storage::Storage;

/// The state that all sessions and background tasks of a shard share.
pub struct ShardContext {
    /// The writer and the commits.
    pub writer: Arc<SharedWriter>,
    /// The driver of orders.
    pub coordinator: Arc<Coordinator>,
    /// The shard's identity.
    pub identity: Identity,
    /// The storage of the records.
    pub storage: Arc<dyn Storage>,
    /// The reads of storage beside the writer.
    pub reads: StoredReads,
    /// The times of customers' requests until their replies.
    pub reply_times: Arc<ReplyTimes>,
    /// The bytes of replies that the clients of all sessions have not taken yet.
    pub untaken_bytes: Arc<AtomicUsize>,
    /// The number of commands taken from sessions.
    pub operations: AtomicU64,
    /// The free space on the disk.
    pub free_space: FreeSpace,
    /// The free space below which writes are refused, in bytes; 0 when nothing is on disk.
    pub min_free: u64,
    /// The damages that were found on the disk.
    pub damages: Damages,
    /// The carts and orders that were removed because they were old.
    pub removals: Removals,
    /// The start of the process.
    pub started: Instant,
    /// The request to end.
    pub shutdown: Shutdown,
}
