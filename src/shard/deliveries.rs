//! Commands on deliveries, which live on their order's home slot.

use uuid::Uuid;

use super::commands::{Done, check};
use super::orders::record;
use super::writer::Writer;
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::order::Status;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::Outcomes;
use crate::protocol::Request;
use crate::routing::{DeliveryId, OrderId};
use crate::storage::RecordKind;
use crate::storage::codec;

fn done(created: bool, delivery: &Delivery) -> Done {
    Done { created, outcome: Outcomes::Delivery(codec::encode_delivery(delivery).into()) }
}

fn read(writer: &mut Writer, id: DeliveryId) -> Result<Option<Delivery>> {
    let record = writer.read_stored(id.hash(), RecordKind::Delivery, id.as_bytes())?;
    record.as_deref().map(codec::decode_delivery).transpose()
}

fn no_such_delivery() -> Error {
    Error::NotFound("there is no such delivery".into())
}

/// Schedules a delivery of an order.
pub fn schedule(writer: &mut Writer, order: OrderId, address: &str, courier: &str, now: Timestamp) -> Delivery {
    let millis = u64::try_from(now.micros() / 1_000).unwrap_or_default();
    let delivery = Delivery {
        version: writer.next_version(),
        id: DeliveryId::new(order.hash().slot(), millis, Uuid::new_v4().as_u128()),
        order,
        address: address.to_owned(),
        courier: courier.to_owned(),
        status: DeliveryStatus::Scheduled,
        updated_at: now,
    };
    let id = delivery.id;
    writer.put(id.hash(), RecordKind::Delivery, id.as_bytes(), &codec::encode_delivery(&delivery));
    delivery
}

/// Makes a delivery of an order.
///
/// # Errors
/// [`Error::NotFound`] without the order, [`Error::Refused`] when it does not stand.
pub fn create(writer: &mut Writer, order: OrderId, address: &str, courier: &str, now: Timestamp) -> Result<Done> {
    let found = record::find(writer, order)?.ok_or_else(record::no_such_order)?;
    if found.status != Status::Created {
        return Err(Error::Refused(format!("order_id: the order is {}, not created", found.status.name())));
    }
    Ok(done(true, &schedule(writer, order, address, courier, now)))
}

/// A delivery.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(writer: &mut Writer, id: DeliveryId) -> Result<Done> {
    Ok(done(false, &read(writer, id)?.ok_or_else(no_such_delivery)?))
}

/// Goes on with a delivery.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Refused`] for a move that there is not.
pub fn move_to(
    writer: &mut Writer,
    request: &Request,
    id: DeliveryId,
    status: DeliveryStatus,
    now: Timestamp,
) -> Result<Done> {
    let delivery = read(writer, id)?;
    check(request.if_match.as_ref(), delivery.as_ref().map(Delivery::tag))?;
    let mut delivery = delivery.ok_or_else(no_such_delivery)?;
    delivery.move_to(status)?;
    delivery.version = writer.next_version();
    delivery.updated_at = now;
    writer.put(id.hash(), RecordKind::Delivery, id.as_bytes(), &codec::encode_delivery(&delivery));
    Ok(done(false, &delivery))
}
