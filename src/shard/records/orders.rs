//! Orders as records. Open orders are in memory, closed ones on disk only. Each write of an order also writes its places in
//! lists, so that a list never lacks an order.

use std::ops::RangeInclusive;

use crate::domain::order::{Decided, Facts, Order, OrderRecord, OrderStatus, Recorded, Refused, SingleItem};
use crate::domain::reservation::Decision;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::CommandOutput;
use crate::routing::{KeyHash, OrderId};
use crate::shard::engine::{State, Transaction};
use crate::shard::order_lists;
use crate::shard::records::idempotency;
use crate::storage::codec::{self, OrderEntry};
use crate::storage::{Page, Record, RecordKey, RecordKind, Storage, naming};

/// The most open orders on one shard. Past that, orders are refused before anything is applied.
pub const MAX_OPEN_ORDERS: u64 = 10_000;

fn key(kind: RecordKind, id: &OrderId) -> RecordKey<'_> {
    RecordKey { hash: id.hash(), kind, id: id.as_bytes() }
}

/// The key of an order's place in the list of an owner.
fn entry_key(owner: KeyHash, id: &[u8]) -> RecordKey<'_> {
    RecordKey { hash: owner, kind: RecordKind::OrderEntry, id }
}

/// The error for an order that does not exist.
pub fn no_such_order() -> Error {
    Error::NotFound("there is no such order".into())
}

/// Refuses a new order while too many are open.
///
/// # Errors
/// [`Error::Unavailable`].
pub fn check_capacity(txn: &Transaction<'_>) -> Result<()> {
    if txn.count(RecordKind::OpenOrder) >= MAX_OPEN_ORDERS {
        return Err(Error::Unavailable("too many orders are open on this shard; nothing was applied".into()));
    }
    Ok(())
}

/// Finds an order, open or closed.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn find(txn: &mut Transaction<'_>, id: OrderId) -> Result<Option<OrderRecord>> {
    if let Some(record) = txn.read(key(RecordKind::OpenOrder, &id)) {
        return codec::decode_order(record).map(Some);
    }
    let key = key(RecordKind::Order, &id);
    let record = txn.read_stored(key)?;
    record.as_deref().map(codec::decode_order).transpose().map_err(naming(key))
}

/// True for an order that is undecided or not settled.
pub fn is_open(txn: &Transaction<'_>, id: OrderId) -> bool {
    txn.peek(key(RecordKind::OpenOrder, &id)).is_some()
}

/// The size of an open order's record, in bytes; 0 when the order is not open.
pub fn open_bytes(state: &State, id: OrderId) -> usize {
    state.get(key(RecordKind::OpenOrder, &id)).map_or(0, <[u8]>::len)
}

/// All open orders.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn all_open(state: &State) -> Result<Vec<OrderRecord>> {
    let mut orders = Vec::new();
    state.each(RecordKind::OpenOrder, |record| orders.push(codec::decode_order(record.value())));
    orders.into_iter().collect()
}

/// Writes an open order: one that is undecided, or decided and not settled. It gets a new version.
pub fn put_open<S>(txn: &mut Transaction<'_>, order: &mut Order<S>)
where
    Order<S>: Recorded,
{
    order.recorded_as(txn.next_version());
    count(txn, order);
    txn.put(key(RecordKind::OpenOrder, &order.id), &codec::encode_order(order));
    enter(txn, order);
}

/// Counts an order that is about to be written, if its state is another one than before.
fn count(txn: &mut Transaction<'_>, order: &impl Recorded) {
    let status = order.recorded_state().status.kind();
    let open = txn.peek(key(RecordKind::OpenOrder, &order.id));
    let is_new = open.is_none();
    let is_cancelled_now = status == OrderStatus::Cancelled
        && !open.is_some_and(|open| matches!(codec::decode_order(open), Ok(OrderRecord::Cancelled(_))));
    let indexes = txn.indexes_mut();
    let was_undecided = indexes.undecided.remove(order.id);
    match status {
        OrderStatus::Pending => indexes.undecided.insert(order.id),
        OrderStatus::Cancelled if is_cancelled_now => {
            indexes.decided.leave(OrderStatus::Created);
            indexes.decided.enter(status);
        }
        OrderStatus::Created | OrderStatus::Refused if was_undecided || is_new => indexes.decided.enter(status),
        OrderStatus::Created | OrderStatus::Refused | OrderStatus::Cancelled => {}
    }
}

/// Writes an order's places in lists.
fn enter(txn: &mut Transaction<'_>, order: &impl Recorded) {
    let (id, entry) = (order_lists::entry_id(order.id), codec::encode_order_entry(&OrderEntry::of(order)));
    order_lists::owners(order, &txn.slots()).for_each(|owner| txn.put(entry_key(owner, &id), &entry));
}

/// Deletes an order's places in lists.
fn leave(txn: &mut Transaction<'_>, order: &Facts) {
    let id = order_lists::entry_id(order.id);
    order_lists::owners(order, &txn.slots()).for_each(|owner| txn.delete(entry_key(owner, &id)));
}

/// Writes a closed order, with nothing left to be done, in place of its open record. It gets a new version.
pub fn put_closed<S>(txn: &mut Transaction<'_>, order: &mut Order<S>)
where
    Order<S>: Decided,
{
    order.recorded_as(txn.next_version());
    let open = key(RecordKind::OpenOrder, &order.id);
    count(txn, order);
    order.idempotency.as_ref().into_iter().for_each(|key| idempotency::close(txn, key));
    if txn.peek(open).is_some() {
        txn.delete(open);
    }
    let record = codec::encode_order(order);
    if order.recorded_state().status.kind() == OrderStatus::Refused {
        txn.indexes_mut().refused.insert(order.id, record.len());
    }
    txn.put(key(RecordKind::Order, &order.id), &record);
    enter(txn, order);
}

/// The key of a closed order in storage.
pub fn stored_key(id: OrderId) -> Record {
    Record::new(key(RecordKind::Order, &id), b"")
}

/// The record of an order that is open, or whose last change storage may lack. `None` for one that storage has: a closed
/// record stays there, so an order that is not open is never missing in both.
pub fn find_unstored(txn: &mut Transaction<'_>, id: OrderId) -> Option<Vec<u8>> {
    if let Some(open) = txn.read(key(RecordKind::OpenOrder, &id)) {
        return Some(open.to_vec());
    }
    txn.read_uncommitted(key(RecordKind::Order, &id))
}

/// Up to `limit` closed orders of some slots, from the first key after `after` on.
///
/// # Errors
/// [`Error::Internal`] when storage cannot be read.
pub fn closed_after(storage: &dyn Storage, slots: &RangeInclusive<u16>, after: &[u8], limit: usize) -> Result<Page> {
    storage.scan(RecordKind::Order, slots, after, limit)
}

/// The order of a record, if it was refused and can be read.
fn as_refused(record: &[u8]) -> Option<Order<Refused>> {
    match codec::decode_order(record).ok()? {
        OrderRecord::Refused(order) => Some(order),
        OrderRecord::Pending(_) | OrderRecord::Created(_) | OrderRecord::Cancelled(_) => None,
    }
}

/// Removes a closed order if it was refused before a time, and counts it if it was refused later. True when it is removed.
pub fn remove_refused_before(txn: &mut Transaction<'_>, record: &[u8], before: Timestamp) -> bool {
    let Some(order) = as_refused(record) else { return false };
    let is_old = order.steps.last().is_some_and(|step| step.at < before);
    if is_old {
        remove(txn, &order);
    } else {
        txn.indexes_mut().refused.insert(order.id, record.len());
    }
    is_old
}

/// Removes a closed order if it was refused. True when it is removed.
pub fn remove_refused(txn: &mut Transaction<'_>, id: OrderId, record: Option<&[u8]>) -> bool {
    let refused = record.and_then(as_refused);
    if let Some(order) = &refused {
        remove(txn, order);
    }
    txn.indexes_mut().refused.remove(id);
    refused.is_some()
}

/// Removes a refused order. It was closed, so it never changes, and the answer under its idempotency key is a record of its
/// own. To a shard that asks for its decision it counts as refused, as before.
fn remove(txn: &mut Transaction<'_>, order: &Order<Refused>) {
    txn.delete(key(RecordKind::Order, &order.id));
    leave(txn, order);
    let indexes = txn.indexes_mut();
    indexes.decided.leave(OrderStatus::Refused);
    indexes.refused.remove(order.id);
}

/// Reads an order.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(txn: &mut Transaction<'_>, id: OrderId) -> Result<CommandOutput> {
    let order = find(txn, id)?.ok_or_else(no_such_order)?;
    Ok(CommandOutput::order(&order, &SingleItem::default()))
}

/// The decision on an order. An unknown order counts as refused: an order's record is durable before any stock is
/// held for it, so the order cannot be created any more.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn decision(txn: &mut Transaction<'_>, id: OrderId) -> Result<CommandOutput> {
    let decision = match find(txn, id)?.map_or(Decision::Refused, |order| order.decision()) {
        Decision::Cancelled if !is_open(txn, id) => Decision::CancelledAndClosed,
        decision => decision,
    };
    Ok(CommandOutput::decision(decision))
}
