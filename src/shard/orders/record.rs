//! Orders as records: open ones are in memory, closed ones on disk only.

use crate::domain::order::{Order, Status};
use crate::domain::reservation::Ruling;
use crate::error::{Error, Result};
use crate::protocol::{Outcomes, encode_ruling, proto};
use crate::routing::OrderId;
use crate::shard::commands::Done;
use crate::shard::writer::Writer;
use crate::storage::RecordKind;
use crate::storage::codec;

/// There is no such order.
pub fn no_such_order() -> Error {
    Error::NotFound("there is no such order".into())
}

/// An order, open or closed.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn find(writer: &mut Writer, id: OrderId) -> Result<Option<Order>> {
    if let Some(record) = writer.read(id.hash(), RecordKind::OpenOrder, id.as_bytes()) {
        return codec::decode_order(record).map(Some);
    }
    let record = writer.read_stored(id.hash(), RecordKind::Order, id.as_bytes())?;
    record.as_deref().map(codec::decode_order).transpose()
}

/// Writes an order that is not done with, under a new version.
pub fn put_open(writer: &mut Writer, order: &mut Order) {
    order.version = writer.next_version();
    writer.put(order.id.hash(), RecordKind::OpenOrder, order.id.as_bytes(), &codec::encode_order(order));
}

/// Writes an order that nothing remains to be done for.
pub fn put_closed(writer: &mut Writer, order: &mut Order) {
    order.version = writer.next_version();
    if writer.state().get(order.id.hash(), RecordKind::OpenOrder, order.id.as_bytes()).is_some() {
        writer.delete(order.id.hash(), RecordKind::OpenOrder, order.id.as_bytes());
    }
    writer.put(order.id.hash(), RecordKind::Order, order.id.as_bytes(), &codec::encode_order(order));
}

/// An order as a reply.
pub fn outcome(order: &Order, title: &str, remaining: u64) -> Outcomes {
    Outcomes::Order(proto::OrderReply { record: codec::encode_order(order).into(), title: title.to_owned(), remaining })
}

/// An order.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(writer: &mut Writer, id: OrderId) -> Result<Done> {
    let order = find(writer, id)?.ok_or_else(no_such_order)?;
    Ok(Done { created: false, outcome: outcome(&order, "", 0) })
}

/// What becomes of what an order holds. An order that its home does not know was never to be: its
/// first record is durable before anything is held for it.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn rule(writer: &mut Writer, id: OrderId) -> Result<Done> {
    let ruling = match find(writer, id)?.map(|order| order.status) {
        Some(Status::Pending) => Ruling::Keep,
        Some(Status::Created) => Ruling::Claim,
        Some(Status::Refused(_)) | None => Ruling::Release,
    };
    let ruling = encode_ruling(ruling).into();
    Ok(Done { created: false, outcome: Outcomes::Ruling(proto::RulingReply { ruling }) })
}
