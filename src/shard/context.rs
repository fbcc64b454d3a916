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

#[cfg(test)]
pub mod tests {
    //! The context of a shard in tests, and storage under a test's control.

    use std::ops::RangeInclusive;
    use std::sync::OnceLock;

    use super::*;
    use crate::error::Result;
    use crate::payment::{GatewayAddress, HttpGateway};
    use crate::shard::engine::{Resident, Writer};
    use crate::shard::startup::ExpectedIdentity;
    use crate::storage::{Loaded, MemoryStorage, Outcome, Page, RecordKind, Write};

    /// Storage in memory that a committer has to write to, as to a disk: without one nothing is ever committed.
    #[derive(Default)]
    pub struct TestStorage {
        memory: MemoryStorage,
        /// What happens at each read of a record.
        pub at_get: OnceLock<Box<dyn Fn() + Send + Sync>>,
    }

    impl Storage for TestStorage {
        fn sequence(&self) -> u64 {
            self.memory.sequence()
        }

        fn load(&self, kinds: &[RecordKind], slots: &RangeInclusive<u16>, each: &mut Loaded<'_>) -> Result<()> {
            self.memory.load(kinds, slots, each)
        }

        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.at_get.get().into_iter().for_each(|happens| happens());
            self.memory.get(key)
        }

        fn scan(&self, kind: RecordKind, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
            self.memory.scan(kind, slots, after, limit)
        }

        fn commit(&self, batch: &[Write], sequence: u64) -> Outcome {
            self.memory.commit(batch, sequence)
        }

        fn is_volatile(&self) -> bool {
            false
        }
    }

    /// The only shard of a store, without a committer, whose gateway is nowhere.
    pub fn context(storage: Arc<TestStorage>) -> Arc<ShardContext> {
        let identity = Identity::new(ExpectedIdentity { store_id: None, shard: 0, shards: 1 });
        let writer = Writer::new(Resident::default(), storage.clone(), identity.slots());
        let writer = SharedWriter::new(writer, storage.clone());
        let gateway = HttpGateway::new(&GatewayAddress::Unix("nobody".into())).unwrap();
        Arc::new(ShardContext {
            coordinator: Coordinator::new(writer.clone(), None, gateway),
            writer,
            identity,
            reads: StoredReads::new(storage.clone()),
            storage,
            reply_times: Arc::default(),
            untaken_bytes: Arc::default(),
            operations: AtomicU64::new(0),
            free_space: FreeSpace::default(),
            min_free: 0,
            damages: Damages::default(),
            removals: Removals::default(),
            started: Instant::now(),
            shutdown: Shutdown::never(),
        })
    }
}
