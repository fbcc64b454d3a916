//! What a shard tells about itself.

use std::sync::atomic::Ordering;

use crate::domain::time::Timestamp;
use crate::process::logging;
use crate::protocol::{ShardStatus, SlotLoad, UndecidedOrder};
use crate::routing::OrderId;
use crate::shard::context::ShardContext;
use crate::shard::engine::Writer;
use crate::storage::RecordKind;

/// The shard's status, with the counts of each slot if they are asked for.
pub fn status(context: &ShardContext, with_slots: bool) -> ShardStatus {
    let (commit_latency, request_latency) = (context.writer.commit_latency.snapshot(), context.reply_times.snapshot());
    let writer = context.writer.lock();
    let (state, indexes, requests) = (writer.state(), writer.indexes(), writer.requests());
    let kind = |name: &str, kind| (name.to_owned(), state.count(kind));
    ShardStatus {
        identity: context.identity.hello(),
        slots: vec![writer.slots()],
        records: vec![
            kind("cart", RecordKind::Cart),
            kind("kv", RecordKind::Kv),
            kind("product", RecordKind::Product),
            kind("open_order", RecordKind::OpenOrder),
            kind("reservation", RecordKind::Reservation),
            kind("return", RecordKind::Return),
        ],
        records_total: state.count_all() as u64,
        resident_bytes: state.bytes(),
        idempotency_keys: indexes.idempotency.count() as u64,
        operations: context.operations.load(Ordering::Relaxed),
        commits: commit_latency.count(),
        commit_latency,
        records_committed: writer.records_committed(),
        queue: writer.queue() as u64,
        free_disk_bytes: context.free_space.bytes(),
        min_free_disk_bytes: context.min_free,
        accepts_writes: writer.accepts_writes() && context.storage.has_room(),
        captures_failed: context.coordinator.captures_failed(),
        refunds_failed: context.coordinator.refunds_failed(),
        payment_calls_failed: context.coordinator.payment_calls_failed(),
        checkpoints_failed: context.storage.background_failures(),
        damages: context.damages.count(),
        log_dropped: logging::dropped(),
        memory_bytes: writer.memory(),
        max_memory_bytes: writer.max_memory(),
        carts_removed: context.removals.carts.load(Ordering::Relaxed),
        orders_removed: context.removals.orders.load(Ordering::Relaxed),
        uptime: context.started.elapsed(),
        reads: requests.reads,
        writes: requests.writes,
        order_requests: requests.orders,
        failures: context.reply_times.failures(),
        request_latency,
        undecided_orders: indexes.undecided.count() as u64,
        oldest_undecided: indexes.undecided.oldest().map(undecided),
        orders: indexes.decided.counts(),
        stock: indexes.stock,
        slot_load: with_slots.then(|| slot_load(&writer)),
    }
}

fn undecided(order: OrderId) -> UndecidedOrder {
    let micros = i64::try_from(order.millis()).ok().and_then(|millis| millis.checked_mul(1_000));
    let since = micros.and_then(|micros| Timestamp::from_micros(micros).ok()).unwrap_or_default();
    UndecidedOrder { order: order.to_string(), since }
}

fn slot_load(writer: &Writer) -> SlotLoad {
    let slots = writer.slots();
    let slots = usize::from(*slots.start())..=usize::from(*slots.end());
    SlotLoad {
        requests: writer.requests().slots()[slots.clone()].to_vec(),
        records: writer.state().slots()[slots].to_vec(),
    }
}
