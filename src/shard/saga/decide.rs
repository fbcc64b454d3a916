//! The decision of an order: one commit that creates or refuses it, takes what was sold out of the cart, schedules the
//! delivery, settles this shard's stock, and keeps the reply under the idempotency key.

use crate::domain::delivery::DEFAULT_COURIER;
use crate::domain::order::{Event, Order, Origin, PaymentStatus, SingleItem, Status};
use crate::domain::reservation::Ruling;
use crate::error::{Error, Result};
use crate::protocol::{CommandOutput, Settle, WireReply, encode_reply};
use crate::routing::ProductId;
use crate::shard::engine::Transaction;
use crate::shard::records::{carts, deliveries, idempotency, orders, reservations};

/// Creates an order whose stock this shard holds and which asks no money; nothing remains to be done for it.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn create_at_once(txn: &mut Transaction<'_>, order: &mut Order) -> Result<()> {
    conclude(txn, order, Ruling::Claim)?;
    order.note(Event::Claimed, txn.now());
    orders::put_closed(txn, order);
    Ok(())
}

/// Creates or refuses an order, and returns its reply. The order stays open: holds of other shards and the payment are
/// still to be settled.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn commit(
    txn: &mut Transaction<'_>,
    order: &mut Order,
    outcome: std::result::Result<&SingleItem, &Error>,
) -> Result<WireReply> {
    let ruling = if outcome.is_ok() { Ruling::Claim } else { Ruling::Release };
    if let Err(error) = outcome {
        order.status = Status::Refused(error.detail().to_owned());
    }
    conclude(txn, order, ruling)?;
    orders::put_open(txn, order);
    let result = match outcome {
        Ok(item) => Ok(CommandOutput::order(order, item).with_created(true)),
        Err(error) => Err(error.clone()),
    };
    let is_final = outcome.map_or_else(Error::is_final, |_| true);
    let reply = encode_reply(result, txn.now());
    if let Some(key) = &order.idempotency {
        match is_final {
            true => idempotency::keep(txn, order.home(), key, &reply),
            false => idempotency::forget(txn, order.home(), key),
        }
    }
    Ok(reply)
}

/// Settles what is on this shard: cart, delivery, stock.
fn conclude(txn: &mut Transaction<'_>, order: &mut Order, ruling: Ruling) -> Result<()> {
    let created = ruling == Ruling::Claim;
    if created {
        order.status = Status::Created;
        if let Some(address) = order.address.clone() {
            order.delivery = Some(deliveries::schedule(txn, order.id, &address, DEFAULT_COURIER).id);
        }
    }
    order.note(if created { Event::Created } else { Event::Refused }, txn.now());
    if order.payment.status == PaymentStatus::Pending {
        order.payment.status = PaymentStatus::None;
    }
    if order.origin == Origin::Checkout {
        carts::end_checkout(txn, order, created)?;
    }
    let products: Vec<ProductId> = order.lines.iter().map(|line| line.product.clone()).collect();
    let ours: Vec<_> = products.into_iter().filter(|product| txn.owns(product.hash())).collect();
    if ours.is_empty() {
        return Ok(());
    }
    reservations::settle(txn, &Settle::new(order.id, ours, ruling)?)
}
