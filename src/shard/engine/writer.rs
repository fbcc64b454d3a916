//! The state of a shard and the writes that are not durable yet.
//!
//! At most two batches exist: the *open* one, which commands add to, and the one *in flight*, which is being made
//! durable. A reply that was computed from a record in either of them waits for that batch's commit.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::batch::{Batch, CommitDependency, value_of};
use super::expiry_index::ExpiryIndex;
use super::fetched::{Fetched, StoredChanges, StoredKey};
use super::gauges::OrderGauges;
use super::idempotency_index::IdempotencyIndex;
use super::in_doubt_queue::InDoubtQueue;
use super::order_tally::OrderTally;
use super::outbox::Waiter;
use super::product_index::ProductIndex;
use super::refused_orders::RefusedOrders;
use super::request_counts::RequestCounts;
use super::state::State;
use super::undecided_orders::UndecidedOrders;
use crate::domain::stock_sums::StockSums;
use crate::error::{Error, Result};
use crate::storage::codec;
use crate::storage::{COUNTER_KEY, HEADER_KEY, ORDER_COUNTS_KEY, Record, RecordKey, RecordKind, Storage, Write};

/// The most replies that wait for commits. Past that, commands are refused before they are applied.
pub const MAX_WAITING_REPLIES: usize = 16_384;

/// The bytes of replies that wait for commits, past which commands are refused before they are applied.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// What a resident record takes beside its key and value: its place in a table and in the allocator. In bytes.
const RECORD_OVERHEAD: u64 = 64;
/// What an idempotency key or a settlement takes in its index, in bytes.
const EXPIRING_BYTES: u64 = 64;
/// What the id of a product takes in the indexes that list it, in bytes.
const LISTED_BYTES: u64 = 256;

/// Everything that a shard holds in memory.
#[derive(Default)]
pub struct Resident {
    /// The resident records.
    pub state: State,
    /// The counter that versions come from.
    pub counter: u64,
    /// The indexes over the records.
    pub indexes: Indexes,
}

/// Indexes over a shard's records. They are not stored.
#[derive(Default)]
pub struct Indexes {
    /// The live idempotency records.
    pub idempotency: IdempotencyIndex,
    /// The live settlements.
    pub settlements: ExpiryIndex,
    /// The ids of products, to list them.
    pub products: ProductIndex,
    /// The reservations for orders of other shards.
    pub in_doubt: InDoubtQueue,
    /// The counts of undecided orders.
    pub orders: OrderGauges,
    /// The undecided orders.
    pub undecided: UndecidedOrders,
    /// The refused orders, as far as they were found on disk since the start.
    pub refused: RefusedOrders,
    /// The counts of decided orders, which are stored.
    pub decided: OrderTally,
    /// The stock of all products.
    pub stock: StockSums,
}

/// The state of a shard, the batches that are not durable yet, and the waiters for them.
pub struct Writer {
    resident: Resident,
    open: Batch,
    open_waiters: Vec<Waiter>,
    in_flight: Option<Arc<Batch>>,
    in_flight_waiters: Vec<Waiter>,
    /// The bytes of replies that wait for the open batch and for the one in flight.
    waiting_bytes: [usize; 2],
    max_memory: u64,
    storage: Arc<dyn Storage>,
    /// The sequence of the batch in flight, or of the last one.
    sequence: u64,
    stored_changes: StoredChanges,
    slots: RangeInclusive<u16>,
    accepts_writes: bool,
    max_batch_bytes: usize,
    requests: RequestCounts,
    /// The number of records written by all sealed batches.
    records_committed: u64,
}

impl Writer {
    /// Makes a writer over records loaded from storage, for the slots that the shard owns.
    pub fn new(resident: Resident, storage: Arc<dyn Storage>, slots: RangeInclusive<u16>) -> Self {
        Writer {
            resident,
            open: Batch::default(),
            open_waiters: Vec::new(),
            in_flight: None,
            in_flight_waiters: Vec::new(),
            waiting_bytes: [0; 2],
            max_memory: u64::MAX,
            max_batch_bytes: storage.max_batch_bytes(),
            sequence: storage.sequence(),
            stored_changes: StoredChanges::default(),
            storage,
            slots,
            accepts_writes: true,
            requests: RequestCounts::default(),
            records_committed: 0,
        }
    }

    /// Refuses a command that writes while there is no room for its writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the disk is nearly full or the commit queue is full.
    pub fn check_capacity(&self) -> Result<()> {
        if !self.accepts_writes {
            return Err(Error::Unavailable("the shard's disk is nearly full; nothing was applied".into()));
        }
        if !self.storage.has_room() {
            return Err(Error::Unavailable(
                "the shard's log is full until its checkpoint goes on; nothing was applied".into(),
            ));
        }
        if self.has_full_queue() || self.open.bytes() >= self.max_batch_bytes {
            return Err(Error::Unavailable("the shard's commit queue is full; nothing was applied".into()));
        }
        Ok(())
    }

    /// True while no more replies may wait for a commit.
    pub fn has_full_queue(&self) -> bool {
        self.queue() >= MAX_WAITING_REPLIES || self.waiting_bytes.iter().sum::<usize>() >= MAX_WAITING_BYTES
    }

    /// The number of replies that wait for a commit.
    pub fn queue(&self) -> usize {
        self.open_waiters.len() + self.in_flight_waiters.len()
    }

    /// The memory that records, their indexes, and what waits for a commit take, in bytes, as the writer counts them.
    pub fn memory(&self) -> u64 {
        let Resident { state, indexes, .. } = &self.resident;
        let expiring = (indexes.idempotency.count() + indexes.settlements.count()) as u64;
        let batches = self.open.bytes() + self.in_flight.as_ref().map_or(0, |batch| batch.bytes());
        state.bytes()
            + state.count_all() as u64 * RECORD_OVERHEAD
            + expiring * EXPIRING_BYTES
            + state.count(RecordKind::Product) * LISTED_BYTES
            + (batches + self.waiting_bytes.iter().sum::<usize>()) as u64
    }

    /// The memory past which nothing that grows is taken, in bytes.
    pub fn max_memory(&self) -> u64 {
        self.max_memory
    }

    /// Sets the memory past which nothing that grows is taken, in bytes.
    pub fn set_max_memory(&mut self, bytes: u64) {
        self.max_memory = bytes;
    }

    /// The commit that a reader of a record depends on.
    pub(super) fn dependency_on(&self, key: RecordKey<'_>) -> CommitDependency {
        self.newest(|batch| batch.find(key).is_some())
    }

    /// The commit of everything so far.
    pub fn dependency_on_all(&self) -> CommitDependency {
        self.newest(|batch| !batch.is_empty())
    }

    /// The commit that a list of products depends on.
    pub(super) fn dependency_on_products(&self) -> CommitDependency {
        self.newest(Batch::has_products)
    }

    fn newest(&self, concerns: impl Fn(&Batch) -> bool) -> CommitDependency {
        if concerns(&self.open) {
            CommitDependency::Open
        } else if self.in_flight.as_ref().is_some_and(|batch| concerns(batch)) {
            CommitDependency::InFlight
        } else {
            CommitDependency::None
        }
    }

    /// Reads a record that is not resident, from the batches or else from what was fetched.
    ///
    /// # Errors
    /// The key, if the record has to be fetched.
    pub(super) fn read_stored(
        &self,
        key: RecordKey<'_>,
        fetched: &[Fetched],
    ) -> std::result::Result<Option<Vec<u8>>, StoredKey> {
        let in_flight = || self.in_flight.as_ref().and_then(|batch| batch.find(key));
        if let Some(write) = self.open.find(key).or_else(in_flight) {
            return Ok(value_of(write).map(<[u8]>::to_vec));
        }
        let key = StoredKey::new(key);
        self.stored_changes.find(fetched, &key).cloned().ok_or(key)
    }

    /// The stamp of a record that is about to be fetched. A record in the open batch or in the one in flight is not.
    pub fn stamp(&self, key: &StoredKey) -> u64 {
        self.stored_changes.stamp(key)
    }

    /// Adds a write of a record to the open batch.
    pub(super) fn put(&mut self, key: RecordKey<'_>, value: &[u8]) {
        let record = Record::new(key, value);
        if key.kind == RecordKind::Product {
            self.open.note_product();
        }
        if key.kind.is_resident() {
            self.resident.state.put(key, record.clone());
        } else {
            self.stored_changes.note(key.hash);
        }
        self.open.push(key.hash, Write::Put(record));
    }

    /// Adds the deletion of a record to the open batch.
    pub(super) fn delete(&mut self, key: RecordKey<'_>) {
        if key.kind == RecordKind::Product {
            self.open.note_product();
        }
        if key.kind.is_resident() {
            self.resident.state.delete(key);
        } else {
            self.stored_changes.note(key.hash);
        }
        self.open.push(key.hash, Write::Delete(Record::new(key, b"")));
    }

    /// Adds the data directory's header to the open batch.
    pub fn put_header(&mut self, header: &[u8]) {
        self.open.push_unread(Write::Put(Record::from_parts(HEADER_KEY, header)));
    }

    /// A version that no record of this shard ever had.
    pub(super) fn next_version(&mut self) -> u64 {
        self.resident.counter += 1;
        self.resident.counter
    }

    /// The indexes, to be changed together with their records.
    pub(super) fn indexes_mut(&mut self) -> &mut Indexes {
        &mut self.resident.indexes
    }

    /// The indexes over the records.
    pub fn indexes(&self) -> &Indexes {
        &self.resident.indexes
    }

    /// The resident records.
    pub fn state(&self) -> &State {
        &self.resident.state
    }

    /// The counts of requests, to be changed by whoever takes them.
    pub fn requests_mut(&mut self) -> &mut RequestCounts {
        &mut self.requests
    }

    /// The counts of requests.
    pub fn requests(&self) -> &RequestCounts {
        &self.requests
    }

    /// The number of records written by all commits, the one in flight included.
    pub fn records_committed(&self) -> u64 {
        self.records_committed
    }

    /// Registers a waiter, which is woken once the commit that it depends on is durable.
    pub fn wait(&mut self, dependency: CommitDependency, waiter: Waiter) {
        let [open, in_flight] = &mut self.waiting_bytes;
        match dependency {
            CommitDependency::None => waiter.wake(),
            CommitDependency::InFlight => {
                *in_flight += waiter.bytes();
                self.in_flight_waiters.push(waiter);
            }
            CommitDependency::Open => {
                *open += waiter.bytes();
                self.open_waiters.push(waiter);
            }
        }
    }

    /// Closes the open batch, which is then in flight. Returns `None` when there is nothing to commit or another batch
    /// is in flight.
    pub fn seal(&mut self) -> Option<Arc<Batch>> {
        if !self.has_work() {
            return None;
        }
        let mut batch = std::mem::take(&mut self.open);
        self.records_committed += batch.writes().len() as u64;
        if let Some(counts) = self.resident.indexes.decided.take_changed() {
            let counts = codec::encode_order_counts(counts);
            batch.push_unread(Write::Put(Record::from_parts(ORDER_COUNTS_KEY, &counts)));
        }
        let counter = self.resident.counter.to_be_bytes();
        batch.push_unread(Write::Put(Record::from_parts(COUNTER_KEY, &counter)));
        self.sequence += 1;
        batch.seal(self.sequence);
        let batch = Arc::new(batch);
        self.in_flight = Some(batch.clone());
        self.in_flight_waiters = std::mem::take(&mut self.open_waiters);
        self.waiting_bytes = [0, self.waiting_bytes[0]];
        Some(batch)
    }

    /// Notes that the batch in flight is durable, and returns the waiters for it.
    pub fn committed(&mut self) -> Vec<Waiter> {
        self.in_flight = None;
        self.waiting_bytes[1] = 0;
        std::mem::take(&mut self.in_flight_waiters)
    }

    /// True when everything is durable.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.in_flight.is_none()
    }

    /// True when the open batch can be committed.
    pub fn has_work(&self) -> bool {
        !self.open.is_empty() && self.in_flight.is_none()
    }

    /// Allows or refuses commands that write.
    pub fn set_accepts_writes(&mut self, accepts: bool) {
        self.accepts_writes = accepts;
    }

    /// True when commands that write are allowed.
    pub fn accepts_writes(&self) -> bool {
        self.accepts_writes
    }

    /// The slots that this shard owns.
    pub fn slots(&self) -> RangeInclusive<u16> {
        self.slots.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::routing::{KeyHash, SLOTS};
    use crate::storage::{Loaded, Outcome, Page};

    /// Storage with a log that can be full, and room for one record in a batch.
    #[derive(Default)]
    struct Small {
        is_full: AtomicBool,
    }

    impl Storage for Small {
        fn sequence(&self) -> u64 {
            0
        }

        fn load(&self, _: &[RecordKind], _: &RangeInclusive<u16>, _: &mut Loaded<'_>) -> Result<()> {
            Ok(())
        }

        fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn scan(&self, _: RecordKind, _: &RangeInclusive<u16>, _: &[u8], _: usize) -> Result<Page> {
            unreachable!("nothing scans")
        }

        fn commit(&self, _: &[Write], _: u64) -> Outcome {
            Outcome::Committed
        }

        fn is_volatile(&self) -> bool {
            false
        }

        fn has_room(&self) -> bool {
            !self.is_full.load(Ordering::Relaxed)
        }

        fn max_batch_bytes(&self) -> usize {
            1
        }
    }

    #[test]
    fn nothing_is_taken_that_the_storage_has_no_room_for() {
        let storage = Arc::new(Small::default());
        let mut writer = Writer::new(Resident::default(), storage.clone(), 0..=SLOTS - 1);
        let refusal = |writer: &Writer| writer.check_capacity().err().map(|error| error.to_string());
        assert_eq!(refusal(&writer), None);
        storage.is_full.store(true, Ordering::Relaxed);
        assert!(refusal(&writer).is_some_and(|why| why.contains("log is full")));
        storage.is_full.store(false, Ordering::Relaxed);
        assert_eq!(refusal(&writer), None);
        let key = RecordKey { hash: KeyHash::of("alice"), kind: RecordKind::Cart, id: b"alice" };
        writer.put(key, b"value");
        assert!(refusal(&writer).is_some_and(|why| why.contains("commit queue is full")), "the batch has its bytes");
    }
}
