//! An order's decision: one commit that says whether it stands, takes what was sold out of the cart,
//! schedules the delivery, and keeps the answer under the idempotency key.

use super::begin::Single;
use super::record;
use crate::domain::delivery::DEFAULT_COURIER;
use crate::domain::order::{Event, Order, Origin, PaymentStatus, Status};
use crate::domain::reservation::{Holding, Ruling};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::Settle;
use crate::protocol::{Outcomes, proto};
use crate::routing::ProductId;
use crate::shard::commands::Done;
use crate::shard::writer::{Writer, is_kept, reply_of};
use crate::shard::{deliveries, reservations};
use crate::storage::RecordKind;
use crate::storage::codec;

/// What an answer says of the only product of an order; nothing of several.
pub fn single(holdings: &[Holding]) -> Single {
    match holdings {
        [Holding::Enough(held)] => Single { title: held.title.clone(), remaining: held.available },
        _ => Single::default(),
    }
}

/// Creates an order whose stock this shard holds and which asks no money; nothing remains to be done.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn create_at_once(writer: &mut Writer, order: &mut Order, single: &Single, now: Timestamp) -> Result<Outcomes> {
    conclude(writer, order, Ruling::Claim, now)?;
    order.note(Event::Claimed, now);
    record::put_closed(writer, order);
    Ok(record::outcome(order, &single.title, single.remaining))
}

/// Writes down whether an order stands, and its answer. It stays open: holds of other shards and the
/// payment are still to be settled.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn run(
    writer: &mut Writer,
    order: &mut Order,
    outcome: std::result::Result<&Single, &Error>,
    now: Timestamp,
) -> Result<proto::Reply> {
    let ruling = if outcome.is_ok() { Ruling::Claim } else { Ruling::Release };
    if let Err(error) = outcome {
        order.status = Status::Refused(error.detail().to_owned());
    }
    conclude(writer, order, ruling, now)?;
    record::put_open(writer, order);
    let result = match outcome {
        Ok(single) => {
            let outcome = record::outcome(order, &single.title, single.remaining);
            Ok(Done { created: true, outcome })
        }
        Err(error) => Err(error.clone()),
    };
    let keeps = outcome.map_or_else(is_kept, |_| true);
    let reply = reply_of(result, now);
    if let Some(pledge) = order.pledge.clone() {
        match keeps {
            true => writer.keep_first_answer(order.home(), &pledge, &reply, now)?,
            false => writer.forget_first_answer(order.home(), &pledge),
        }
    }
    Ok(reply)
}

/// Settles what is on this shard: cart, delivery, stock.
fn conclude(writer: &mut Writer, order: &mut Order, ruling: Ruling, now: Timestamp) -> Result<()> {
    let created = ruling == Ruling::Claim;
    if created {
        order.status = Status::Created;
        if let Some(address) = order.address.clone() {
            order.delivery = Some(deliveries::schedule(writer, order.id, &address, DEFAULT_COURIER, now).id);
        }
    }
    order.note(if created { Event::Created } else { Event::Refused }, now);
    if order.payment.status == PaymentStatus::Pending {
        order.payment.status = PaymentStatus::None;
    }
    if order.origin == Origin::Checkout {
        unpin(writer, order, created, now)?;
    }
    let products: Vec<ProductId> = order.lines.iter().map(|line| line.product.clone()).collect();
    let ours = products.into_iter().filter(|product| writer.owns(product.hash())).collect();
    reservations::settle(writer, &Settle { order: order.id, products: ours, ruling }, now)
}

/// The cart is the customer's again, less what was sold. One that stays as it was keeps its version.
fn unpin(writer: &mut Writer, order: &Order, sold: bool, now: Timestamp) -> Result<()> {
    let Some(customer) = &order.customer else { return Ok(()) };
    let (hash, id) = (customer.hash(), customer.as_str().as_bytes());
    let record = writer.read(hash, RecordKind::Cart, id);
    let Some(mut cart) = record.map(codec::decode_cart).transpose()? else { return Ok(()) };
    if !sold && cart.pin != Some(order.id) {
        return Ok(());
    }
    cart.pin = None;
    if sold {
        for line in &order.lines {
            cart.subtract(&crate::routing::ItemId::from_stored(line.product.as_str()), line.count);
        }
        cart.version = writer.next_version();
        cart.updated_at = Some(now);
    }
    match cart.lines.is_empty() {
        true => writer.delete(hash, RecordKind::Cart, id),
        false => writer.put(hash, RecordKind::Cart, id, &codec::encode_cart(&cart)),
    }
    Ok(())
}
