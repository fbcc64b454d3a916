//! Deliveries, and the commands on them. A delivery lives in the slot of its order, and a record there names the deliveries
//! of an order, so that whether its goods were dispatched is known in the transaction that cancels it.

use uuid::Uuid;

use super::orders;
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::order::{OrderRecord, Recorded};
use crate::domain::tag::Condition;
use crate::error::{ConflictCode, Error, Result};
use crate::protocol::{CommandOutput, DeliveryCommand, Request};
use crate::routing::{DeliveryId, OrderId};
use crate::shard::engine::Transaction;
use crate::storage::codec::{self, OrderDeliveries};
use crate::storage::{RecordKey, RecordKind, naming};

fn key(id: &DeliveryId) -> RecordKey<'_> {
    RecordKey { hash: id.hash(), kind: RecordKind::Delivery, id: id.as_bytes() }
}

fn find(txn: &mut Transaction<'_>, id: DeliveryId) -> Result<Option<Delivery>> {
    let key = key(&id);
    let record = txn.read_stored(key)?;
    record.as_deref().map(codec::decode_delivery).transpose().map_err(naming(key))
}

fn put(txn: &mut Transaction<'_>, delivery: &Delivery) {
    txn.put(key(&delivery.id), &codec::encode_delivery(delivery));
}

/// The key of the record of an order's deliveries.
fn key_of_order(order: &OrderId) -> RecordKey<'_> {
    RecordKey { hash: order.hash(), kind: RecordKind::OrderDeliveries, id: order.as_bytes() }
}

/// The deliveries of an order that are not cancelled.
fn of_order(txn: &mut Transaction<'_>, order: OrderId) -> Result<Vec<Delivery>> {
    let key = key_of_order(&order);
    let record = txn.read_stored(key)?;
    let record = record.as_deref().map(codec::decode_order_deliveries).transpose().map_err(naming(key))?;
    let mut found = Vec::new();
    for id in record.map(|record| record.deliveries).unwrap_or_default() {
        found.extend(find(txn, id)?.filter(|delivery| delivery.status != DeliveryStatus::Cancelled));
    }
    Ok(found)
}

/// The deliveries that are cancelled with their order: those that are not dispatched yet.
///
/// # Errors
/// [`Error::Conflict`] when one was dispatched.
pub fn cancellable(txn: &mut Transaction<'_>, order: OrderId) -> Result<Vec<Delivery>> {
    let found = of_order(txn, order)?;
    if let Some(delivery) = found.iter().find(|delivery| delivery.status != DeliveryStatus::Scheduled) {
        let detail = format!("the order's delivery {} is {}", delivery.id, delivery.status);
        return Err(Error::conflict(ConflictCode::OrderDispatched, detail));
    }
    Ok(found)
}

/// Cancels deliveries with their order.
pub fn cancel(txn: &mut Transaction<'_>, deliveries: Vec<Delivery>) {
    for mut delivery in deliveries {
        delivery.status = DeliveryStatus::Cancelled;
        delivery.version = txn.next_version();
        delivery.updated_at = txn.now();
        put(txn, &delivery);
    }
}

fn no_such_delivery() -> Error {
    Error::NotFound("there is no such delivery".into())
}

/// Schedules the first delivery of a new order.
pub fn schedule_first(txn: &mut Transaction<'_>, order: OrderId, address: &str, courier: &str) -> Delivery {
    schedule(txn, order, (address, courier), None)
}

/// Schedules a delivery of an order, beside one that has arrived.
fn schedule(
    txn: &mut Transaction<'_>,
    order: OrderId,
    (address, courier): (&str, &str),
    arrived: Option<DeliveryId>,
) -> Delivery {
    let millis = u64::try_from(txn.now().micros() / 1_000).unwrap_or_default();
    let delivery = Delivery {
        version: txn.next_version(),
        id: DeliveryId::new(order.hash().slot(), millis, Uuid::new_v4().as_u128()),
        order,
        address: address.to_owned(),
        courier: courier.to_owned(),
        status: DeliveryStatus::Scheduled,
        updated_at: txn.now(),
    };
    put(txn, &delivery);
    let deliveries = arrived.into_iter().chain([delivery.id]).collect();
    let record = OrderDeliveries { version: delivery.version, deliveries };
    txn.put(key_of_order(&order), &codec::encode_order_deliveries(&record));
    delivery
}

/// Executes a command on a delivery.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`], or [`Error::Conflict`] for an order that is not created or is
/// being delivered, and for a move that is not allowed.
pub fn execute(txn: &mut Transaction<'_>, request: &Request, command: &DeliveryCommand) -> Result<CommandOutput> {
    match command {
        DeliveryCommand::Create { order, address, courier } => create(txn, request, *order, (address, courier)),
        DeliveryCommand::Get(delivery) => get(txn, *delivery),
        DeliveryCommand::Move { delivery, status } => move_to(txn, request, *delivery, *status),
    }
}

/// Creates a delivery of an order. The request's condition is on the order.
fn create(
    txn: &mut Transaction<'_>,
    request: &Request,
    order: OrderId,
    (address, courier): (&str, &str),
) -> Result<CommandOutput> {
    let found = orders::find(txn, order)?;
    Condition::check(request.if_match.as_ref(), found.as_ref().map(|order| order.tag()))?;
    let found = found.ok_or_else(orders::no_such_order)?;
    let OrderRecord::Created(_) = &found else {
        let status = found.recorded_state().status.name();
        let detail = format!("order_id: the order is {status}, not created");
        return Err(Error::conflict(ConflictCode::OrderNotCreated, detail));
    };
    let others = of_order(txn, order)?;
    let (arrived, under_way): (Vec<_>, Vec<_>) =
        others.iter().partition(|delivery| delivery.status == DeliveryStatus::Delivered);
    if let Some(other) = under_way.first() {
        let detail = format!("order_id: the order's delivery {} is {}", other.id, other.status);
        return Err(Error::conflict(ConflictCode::DeliveryExists, detail));
    }
    let arrived = arrived.first().map(|delivery| delivery.id);
    Ok(CommandOutput::delivery(&schedule(txn, order, (address, courier), arrived)).with_created(true))
}

/// Reads a delivery.
fn get(txn: &mut Transaction<'_>, id: DeliveryId) -> Result<CommandOutput> {
    Ok(CommandOutput::delivery(&find(txn, id)?.ok_or_else(no_such_delivery)?))
}

/// Moves a delivery to another status.
fn move_to(
    txn: &mut Transaction<'_>,
    request: &Request,
    id: DeliveryId,
    status: DeliveryStatus,
) -> Result<CommandOutput> {
    let delivery = find(txn, id)?;
    Condition::check(request.if_match.as_ref(), delivery.as_ref().map(Delivery::tag))?;
    let mut delivery = delivery.ok_or_else(no_such_delivery)?;
    delivery.move_to(status)?;
    delivery.version = txn.next_version();
    delivery.updated_at = txn.now();
    put(txn, &delivery);
    Ok(CommandOutput::delivery(&delivery))
}
