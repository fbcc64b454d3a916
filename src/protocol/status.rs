//! The Hello that opens a session, a shard's status, and the gRPC codes of errors.

use std::ops::RangeInclusive;
use std::time::Duration;

use uuid::Uuid;

use super::proto;
use crate::domain::order::OrderCounts;
use crate::domain::stock_sums::StockSums;
use crate::domain::time::Timestamp;
use crate::error::{Error, Invalid, Result};
use crate::process::histogram::Snapshot;

/// The identity of a shard: of the one that the sender expects, or of the sender itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The store; `None` while the sender does not know it.
    pub store: Option<Uuid>,
    /// The shard's number, from 0.
    pub shard: u32,
    /// The number of shards.
    pub shards: u32,
    /// The version of the slot table.
    pub table_version: u64,
}

/// The status of a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardStatus {
    /// The identity.
    pub identity: Hello,
    /// The slots that it owns.
    pub slots: Vec<RangeInclusive<u16>>,
    /// The count of resident records of each kind, by the kind's name.
    pub records: Vec<(String, u64)>,
    /// The size of the keys and values held in memory, in bytes.
    pub resident_bytes: u64,
    /// The number of live idempotency keys.
    pub idempotency_keys: u64,
    /// The number of commands received since the start.
    pub operations: u64,
    /// The number of commits since the start.
    pub commits: u64,
    /// The durations of commits.
    pub commit_latency: Snapshot,
    /// The free space on its disk, in bytes.
    pub free_disk_bytes: u64,
    /// The free space below which it takes no writes; 0 when it keeps nothing on disk.
    pub min_free_disk_bytes: u64,
    /// False while the disk is nearly full or the commit log is.
    pub accepts_writes: bool,
    /// The time since the process started.
    pub uptime: Duration,
    /// The number of authorised payments that the gateway then refused to capture.
    pub captures_failed: u64,
    /// The number of captured payments that the gateway then refused to refund.
    pub refunds_failed: u64,
    /// The number of calls to the payment gateway without an answer that says what became of the payment.
    pub payment_calls_failed: u64,
    /// The number of times that background work of storage failed and was tried again.
    pub checkpoints_failed: u64,
    /// The number of carts that were removed because nobody touched them.
    pub carts_removed: u64,
    /// What the shard counts of its memory, in bytes.
    pub memory_bytes: u64,
    /// The limit of that, in bytes.
    pub max_memory_bytes: u64,
    /// The number of refused orders that were removed because they were old or too many.
    pub orders_removed: u64,
    /// The number of damages on its disk that were found since the start.
    pub damages: u64,
    /// The number of log lines that were dropped because nobody took them in time.
    pub log_dropped: u64,
    /// The number of customers' reads since the start.
    pub reads: u64,
    /// The number of customers' writes that are not about orders.
    pub writes: u64,
    /// The number of requests that place or change an order.
    pub order_requests: u64,
    /// The number of all those requests that the shard failed to serve.
    pub failures: u64,
    /// The time of those requests in the shard, commits included.
    pub request_latency: Snapshot,
    /// The number of records written by all commits.
    pub records_committed: u64,
    /// The number of replies that wait for a commit.
    pub queue: u64,
    /// The number of undecided orders.
    pub undecided_orders: u64,
    /// The oldest of them.
    pub oldest_undecided: Option<UndecidedOrder>,
    /// The decided orders.
    pub orders: OrderCounts,
    /// The stock of all products.
    pub stock: StockSums,
    /// The number of all records in memory.
    pub records_total: u64,
    /// The counts of each slot, if they were asked for.
    pub slot_load: Option<SlotLoad>,
}

/// An order that is not decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecidedOrder {
    /// Its id.
    pub order: String,
    /// The time at which it was placed.
    pub since: Timestamp,
}

/// The counts of each slot that a shard owns, in the order of the slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLoad {
    /// The requests since the start, modulo 2^32.
    pub requests: Vec<u32>,
    /// The records in memory.
    pub records: Vec<u32>,
}

impl From<&Hello> for proto::Hello {
    fn from(hello: &Hello) -> Self {
        proto::Hello {
            store_id: hello.store.map(|id| id.to_string()).unwrap_or_default(),
            shard: hello.shard,
            shards: hello.shards,
            table_version: hello.table_version,
            card_key: Vec::new(),
        }
    }
}

impl TryFrom<proto::Hello> for Hello {
    type Error = Error;

    fn try_from(message: proto::Hello) -> Result<Self> {
        let id = Some(message.store_id).filter(|id| !id.is_empty());
        let store = id.map(|id| Uuid::parse_str(&id)).transpose();
        Ok(Hello {
            store: store.map_err(|_| Error::invalid("store_id", "is no UUID"))?,
            shard: message.shard,
            shards: message.shards,
            table_version: message.table_version,
        })
    }
}

impl From<ShardStatus> for proto::StatusReply {
    fn from(status: ShardStatus) -> Self {
        let range = |slots: &RangeInclusive<u16>| proto::SlotRange {
            first: u32::from(*slots.start()),
            last: u32::from(*slots.end()),
        };
        let SlotLoad { requests, records } =
            status.slot_load.unwrap_or(SlotLoad { requests: Vec::new(), records: Vec::new() });
        proto::StatusReply {
            identity: Some(proto::Hello::from(&status.identity)),
            slots: status.slots.iter().map(range).collect(),
            records: status.records.into_iter().map(|(kind, count)| proto::KindCount { kind, count }).collect(),
            resident_bytes: status.resident_bytes,
            idempotency_keys: status.idempotency_keys,
            operations: status.operations,
            commits: status.commits,
            commit_seconds: Some(encode_histogram(status.commit_latency)),
            free_disk_bytes: status.free_disk_bytes,
            min_free_disk_bytes: status.min_free_disk_bytes,
            accepts_writes: status.accepts_writes,
            uptime_ms: u64::try_from(status.uptime.as_millis()).unwrap_or(u64::MAX),
            captures_failed: status.captures_failed,
            refunds_failed: status.refunds_failed,
            payment_calls_failed: status.payment_calls_failed,
            checkpoints_failed: status.checkpoints_failed,
            damages: status.damages,
            log_dropped: status.log_dropped,
            carts_removed: status.carts_removed,
            orders_removed: status.orders_removed,
            memory_bytes: status.memory_bytes,
            max_memory_bytes: status.max_memory_bytes,
            reads: status.reads,
            writes: status.writes,
            order_requests: status.order_requests,
            failures: status.failures,
            request_seconds: Some(encode_histogram(status.request_latency)),
            records_committed: status.records_committed,
            queue: status.queue,
            undecided_orders: status.undecided_orders,
            oldest_undecided: status
                .oldest_undecided
                .map(|UndecidedOrder { order, since }| proto::UndecidedOrder { order, since: since.micros() }),
            orders: Some(encode_orders(status.orders)),
            stock: Some(encode_stock(status.stock)),
            records_total: status.records_total,
            slot_requests: requests,
            slot_records: records,
        }
    }
}

impl TryFrom<proto::StatusReply> for ShardStatus {
    type Error = Error;

    fn try_from(message: proto::StatusReply) -> Result<Self> {
        let identity = message.identity.ok_or_else(|| Error::invalid("identity", "is missing"))?;
        let slot = |number| {
            u16::try_from(number).map_err(|_| Error::Invalid(Invalid::general(format!("slot {number} does not exist"))))
        };
        let slots = message.slots.into_iter().map(|range| Ok(slot(range.first)?..=slot(range.last)?));
        let (requests, records) = (message.slot_requests, message.slot_records);
        Ok(ShardStatus {
            identity: Hello::try_from(identity)?,
            slots: slots.collect::<Result<_>>()?,
            records: message.records.into_iter().map(|record| (record.kind, record.count)).collect(),
            resident_bytes: message.resident_bytes,
            idempotency_keys: message.idempotency_keys,
            operations: message.operations,
            commits: message.commits,
            commit_latency: decode_histogram(message.commit_seconds),
            free_disk_bytes: message.free_disk_bytes,
            min_free_disk_bytes: message.min_free_disk_bytes,
            accepts_writes: message.accepts_writes,
            uptime: Duration::from_millis(message.uptime_ms),
            captures_failed: message.captures_failed,
            refunds_failed: message.refunds_failed,
            payment_calls_failed: message.payment_calls_failed,
            checkpoints_failed: message.checkpoints_failed,
            damages: message.damages,
            log_dropped: message.log_dropped,
            carts_removed: message.carts_removed,
            orders_removed: message.orders_removed,
            memory_bytes: message.memory_bytes,
            max_memory_bytes: message.max_memory_bytes,
            reads: message.reads,
            writes: message.writes,
            order_requests: message.order_requests,
            failures: message.failures,
            request_latency: decode_histogram(message.request_seconds),
            records_committed: message.records_committed,
            queue: message.queue,
            undecided_orders: message.undecided_orders,
            oldest_undecided: message.oldest_undecided.map(decode_undecided).transpose()?,
            orders: decode_orders(message.orders),
            stock: decode_stock(message.stock),
            records_total: message.records_total,
            slot_load: (!requests.is_empty()).then_some(SlotLoad { requests, records }),
        })
    }
}

fn encode_histogram(Snapshot { bounds, counts, sum }: Snapshot) -> proto::Histogram {
    proto::Histogram { bounds, counts, sum }
}

fn decode_histogram(message: Option<proto::Histogram>) -> Snapshot {
    let proto::Histogram { bounds, counts, sum } = message.unwrap_or_default();
    Snapshot { bounds, counts, sum }
}

fn encode_orders(OrderCounts { created, refused, cancelled }: OrderCounts) -> proto::OrderCounts {
    proto::OrderCounts { created, refused, cancelled }
}

fn decode_orders(message: Option<proto::OrderCounts>) -> OrderCounts {
    let proto::OrderCounts { created, refused, cancelled } = message.unwrap_or_default();
    OrderCounts { created, refused, cancelled }
}

fn encode_stock(StockSums { products, received, stock, held, sold }: StockSums) -> proto::StockSums {
    proto::StockSums { products, received, stock, held, sold }
}

fn decode_stock(message: Option<proto::StockSums>) -> StockSums {
    let proto::StockSums { products, received, stock, held, sold } = message.unwrap_or_default();
    StockSums { products, received, stock, held, sold }
}

fn decode_undecided(message: proto::UndecidedOrder) -> Result<UndecidedOrder> {
    Ok(UndecidedOrder { order: message.order, since: Timestamp::from_micros(message.since)? })
}

/// The gRPC status of an error, for the calls that are not part of a session.
pub fn status_of(error: &Error) -> tonic::Status {
    let code = match error {
        Error::Invalid(_) => tonic::Code::InvalidArgument,
        Error::NotFound(_) => tonic::Code::NotFound,
        Error::CardMissing(_)
        | Error::PaymentRefused(_)
        | Error::Conflict(_)
        | Error::LinesRejected(_)
        | Error::InFlight(_)
        | Error::PreconditionFailed(_)
        | Error::KeyReused(_)
        | Error::WrongSlot(_) => tonic::Code::FailedPrecondition,
        Error::Exhausted(_) | Error::OutOfMemory(_) => tonic::Code::ResourceExhausted,
        Error::Unavailable(_) => tonic::Code::Unavailable,
        Error::Indeterminate(_) => tonic::Code::DeadlineExceeded,
        Error::Internal(_) => tonic::Code::Internal,
    };
    tonic::Status::new(code, error.detail())
}

#[cfg(test)]
impl ShardStatus {
    /// The status of a shard that has done nothing and lacks nothing.
    pub fn sample(shard: u32) -> Self {
        let identity = proto::Hello { shard, shards: shard + 1, ..proto::Hello::default() };
        let message = proto::StatusReply {
            identity: Some(identity),
            accepts_writes: true,
            max_memory_bytes: 1_000_000,
            free_disk_bytes: 1_000_000,
            min_free_disk_bytes: 1_000,
            ..proto::StatusReply::default()
        };
        ShardStatus::try_from(message).expect("it is complete")
    }
}
