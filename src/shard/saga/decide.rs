//! The decision on an order: one commit that creates or refuses it, removes the sold items from the cart, schedules the
//! delivery, settles this shard's stock, and stores the reply under the idempotency key.

use crate::domain::delivery::DEFAULT_COURIER;
use crate::domain::order::{Created, Facts, Order, Origin, Payable, Refusal, Refused, SingleItem};
use crate::domain::reservation::Settlement;
use crate::error::Result;
use crate::protocol::{CommandOutput, Settle, WireReply, encode_reply};
use crate::shard::engine::Transaction;
use crate::shard::records::{carts, deliveries, idempotency, orders, reservations};

/// An order that is ready to be created, or a refusal.
pub type Outcome = std::result::Result<(Order<Payable>, SingleItem), Refusal>;

/// An order after its decision.
pub enum DecidedOrder {
    /// Created.
    Created(Order<Created>),
    /// Refused.
    Refused(Order<Refused>),
}

/// Creates an order whose stock this shard holds and for which no payment is due, and closes it.
///
/// # Errors
/// [`crate::error::Error::Internal`] for a damaged record.
pub fn create_at_once(txn: &mut Transaction<'_>, order: Order<Payable>) -> Result<Order<Created>> {
    let mut order = create(txn, order)?;
    order.claimed(txn.now());
    orders::put_closed(txn, &mut order);
    Ok(order)
}

/// Creates or refuses an order, and returns it with its reply. The order stays open, since the other shards' stock and
/// the payment are still to be settled.
///
/// # Errors
/// [`crate::error::Error::Internal`] for a damaged record.
pub fn commit(txn: &mut Transaction<'_>, outcome: Outcome) -> Result<(DecidedOrder, WireReply)> {
    match outcome {
        Ok((order, item)) => {
            let mut order = create(txn, order)?;
            orders::put_open(txn, &mut order);
            let reply = encode_reply(Ok(CommandOutput::order(&order, &item).with_created(true)), txn.now());
            if let Some(key) = &order.idempotency {
                idempotency::keep_open(txn, idempotency::scope_of_order(&order), key, &reply);
            }
            Ok((DecidedOrder::Created(order), reply))
        }
        Err(Refusal { mut order, error }) => {
            settle_here(txn, &order, Settlement::Release)?;
            orders::put_open(txn, &mut order);
            let is_final = error.is_final();
            let reply = encode_reply(Err(error), txn.now());
            match &order.idempotency {
                Some(key) if is_final => idempotency::keep_open(txn, idempotency::scope_of_order(&order), key, &reply),
                Some(key) => idempotency::forget(txn, order.home(), key),
                None => {}
            }
            Ok((DecidedOrder::Refused(order), reply))
        }
    }
}

fn create(txn: &mut Transaction<'_>, order: Order<Payable>) -> Result<Order<Created>> {
    let address = order.address.as_deref();
    let delivery = address.map(|address| deliveries::schedule_first(txn, order.id, address, DEFAULT_COURIER).id);
    let order = order.create(delivery, txn.now());
    settle_here(txn, &order, Settlement::Claim)?;
    Ok(order)
}

/// Settles the cart and this shard's part of the stock.
fn settle_here(txn: &mut Transaction<'_>, order: &Facts, settlement: Settlement) -> Result<()> {
    if order.origin == Origin::Checkout {
        carts::end_checkout(txn, order, settlement == Settlement::Claim)?;
    }
    let products = order.lines.iter().map(|line| line.product.clone());
    let ours: Vec<_> = products.filter(|product| txn.owns(product.hash())).collect();
    if ours.is_empty() {
        return Ok(());
    }
    reservations::settle(txn, &Settle::new(order.id, ours, settlement)?)
}
