//! Runs one request: checks that it may run here and now, answers a repeated one from its stored reply, hands it to
//! its kind of record, and keeps the reply.

use super::engine::{CommitDependency, Transaction, Writer};
use super::records::{carts, deliveries, idempotency, orders, products, reservations, values};
use super::saga::begin::{self, Begun};
use crate::domain::card::Card;
use crate::domain::order::IdempotencyRef;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::{Command, CommandOutput, Request, WireReply, encode_reply};
use crate::routing::OrderId;

/// The result of a request.
#[derive(Debug)]
pub enum Execution {
    /// A reply, which may leave once the commit that it depends on is durable.
    Replied(WireReply, CommitDependency),
    /// An order that is not decided yet; its driver replies.
    Placed {
        /// The order.
        order: OrderId,
        /// The card that pays for it.
        card: Option<Card>,
    },
}

/// Runs a request at a time. A command that fails after it has written ends the process: half a command must never
/// become durable.
pub fn execute(writer: &mut Writer, request: &Request, now: Timestamp) -> Execution {
    let mut txn = Transaction::begin(writer, now);
    match run(&mut txn, request) {
        Ok(execution) => execution,
        Err(error) => Execution::Replied(encode_reply(Err(error), now), txn.dependency()),
    }
}

fn run(txn: &mut Transaction<'_>, request: &Request) -> Result<Execution> {
    if request.command.has_owner() {
        txn.check_owner(request.hash)?;
    }
    let key = idempotency::reference(request);
    if let Some(key) = &key
        && let Some(reply) = idempotency::replay(txn, request.hash, key)?
    {
        return Ok(Execution::Replied(reply, txn.dependency()));
    }
    if !request.command.is_read() {
        txn.check_capacity()?;
    }
    if key.is_some() {
        idempotency::check_capacity(txn)?;
    }
    let result = dispatch(txn, request, key.as_ref());
    txn.abort_if_torn(&result);
    let result = match result {
        Ok(Begun::Placed { order, card }) => return Ok(Execution::Placed { order, card }),
        Ok(Begun::Decided(output)) => Ok(output),
        Err(error) => Err(error),
    };
    let is_final = result.as_ref().map_or_else(Error::is_final, |_| true);
    let reply = encode_reply(result, txn.now());
    if let Some(key) = key.filter(|_| is_final) {
        idempotency::keep(txn, request.hash, &key, &reply);
    }
    Ok(Execution::Replied(reply, txn.dependency()))
}

/// Hands a command to its kind of record.
fn dispatch(txn: &mut Transaction<'_>, request: &Request, key: Option<&IdempotencyRef>) -> Result<Begun> {
    let output = match &request.command {
        Command::Ping => CommandOutput::written(0),
        Command::GetCart { customer } => carts::get(txn, request, customer),
        Command::AddLine { customer, item, offer, count } => {
            carts::add(txn, request, customer, (item, *offer, *count))?
        }
        Command::SetCount { customer, item, count } => carts::set_count(txn, request, customer, item, *count)?,
        Command::RemoveLine { customer, item } => carts::remove(txn, request, customer, item)?,
        Command::TakeCart { customer } => carts::take(txn, request, customer)?,
        Command::GetValue { key } => values::get(txn, request, key)?,
        Command::PutValue { key, text } => values::put(txn, request, key, text)?,
        Command::DeleteValue { key } => values::delete(txn, request, key)?,
        Command::GetProduct { product } => products::get(txn, product)?,
        Command::CreateProduct { product } => products::create(txn, request, product)?,
        Command::ChangeProduct { product, change } => products::change(txn, request, product, change)?,
        Command::DeleteProduct { product } => products::delete(txn, request, product)?,
        Command::Replenish { product, count } => products::replenish(txn, request, product, *count)?,
        Command::ListProducts(list) => products::list(txn, list),
        Command::PlaceOrder(place) => return begin::run(txn, request, place, key),
        Command::GetOrder { order } => orders::get(txn, *order)?,
        Command::CreateDelivery { order, address, courier } => deliveries::create(txn, *order, address, courier)?,
        Command::GetDelivery { delivery } => deliveries::get(txn, *delivery)?,
        Command::MoveDelivery { delivery, status } => deliveries::move_to(txn, request, *delivery, *status)?,
        Command::Hold(hold) => {
            check_not_empty(&hold.lines)?;
            CommandOutput::holds(&reservations::hold(txn, hold)?)
        }
        Command::Settle(settle) => {
            check_not_empty(&settle.products)?;
            reservations::settle(txn, settle)?;
            CommandOutput::written(0)
        }
        Command::Rule { order } => orders::decision(txn, *order)?,
    };
    Ok(Begun::Decided(output))
}

/// Refuses a message of an order's home without lines: nothing in it says that it belongs here.
fn check_not_empty<T>(lines: &[T]) -> Result<()> {
    if lines.is_empty() {
        return Err(Error::Invalid("the command names no product".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::engine::Resident;
    use super::*;
    use crate::domain::reservation::Ruling;
    use crate::protocol::{Hold, Settle, decode_reply};
    use crate::routing::{SLOTS, Slot};
    use crate::storage::MemoryStorage;

    #[test]
    fn a_message_without_lines_is_refused() {
        let order = OrderId::new(Slot(0), 0, 0);
        for command in [
            Command::Hold(Hold { order, lines: Vec::new(), only_look: false }),
            Command::Settle(Settle { order, products: Vec::new(), ruling: Ruling::Release }),
        ] {
            for slots in [0..=0, 1..=SLOTS - 1] {
                let mut writer = Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), slots);
                let execution = execute(&mut writer, &Request::new(command.clone()), Timestamp::default());
                let Execution::Replied(reply, _) = execution else { panic!("no order was placed") };
                assert!(
                    matches!(decode_reply(reply).result, Err(Error::Invalid(_) | Error::WrongSlot(_))),
                    "{command:?}"
                );
                assert!(writer.is_idle());
            }
        }
    }
}
