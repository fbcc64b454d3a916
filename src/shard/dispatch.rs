//! Runs one request: checks that it may run here and now, answers a repeated one from its stored reply, runs its
//! command on the kind of record that it is for, and stores the reply.

use super::clock::Moment;
use super::engine::{CommitDependency, Fetched, StoredKey, Transaction, Writer};
use super::records::{carts, deliveries, idempotency, orders, products, reservations, returns, values};
use super::saga::begin::{self, Begun, WaitingOrder};
use super::saga::cancel;
use crate::domain::order::IdempotencyRef;
use crate::error::{Error, Result};
use crate::protocol::{
    Command, CommandOutput, ListOrders, OrderCommand, PeerCommand, Request, WireReply, encode_reply,
};
use crate::routing::OrderId;

/// The result of a request.
#[derive(Debug)]
pub enum Execution {
    /// A reply, which may be sent once the commit that it depends on is durable.
    Replied(WireReply, CommitDependency),
    /// The reply comes later, from what the request goes on with.
    Continues(Continuation),
    /// Nothing was applied: the request needs a record of storage, and runs again once that is fetched.
    Fetch(StoredKey),
}

/// What a request goes on with after its first transaction.
#[derive(Debug)]
pub enum Continuation {
    /// An order that is not decided yet.
    Place(WaitingOrder),
    /// An order that was just cancelled.
    Cancel {
        /// The order.
        order: OrderId,
        /// True when a driver settles it.
        has_driver: bool,
    },
    /// A list that is read from storage.
    List(ListOrders),
}

/// The result of a command that did not fail.
enum Ran {
    Done(CommandOutput),
    Continues(Continuation),
}

/// Runs a request at the time `now`, with the records that were fetched for it. A command that fails after it has written
/// ends the process: half a command must never become durable.
pub fn execute(writer: &mut Writer, request: &Request, now: impl Into<Moment>, fetched: &[Fetched]) -> Execution {
    let now = now.into();
    let mut txn = Transaction::begin_with(writer, now, fetched);
    let result = run(&mut txn, request);
    if let Some(missing) = txn.take_missing() {
        return Execution::Fetch(missing);
    }
    let dependency = txn.dependency();
    if request.is_read() && dependency != CommitDependency::None && writer.has_full_queue() {
        let error = Error::Unavailable("too many replies wait for the shard's disk".into());
        return Execution::Replied(encode_reply(Err(error), now.system), CommitDependency::None);
    }
    result.unwrap_or_else(|error| Execution::Replied(encode_reply(Err(error), now.system), dependency))
}

fn run(txn: &mut Transaction<'_>, request: &Request) -> Result<Execution> {
    if request.command.owner().is_some() {
        txn.check_owner(request.hash)?;
    }
    let (key, scope) = (idempotency::reference(request), idempotency::scope(request));
    if let Some(key) = &key
        && let Some(reply) = idempotency::replay(txn, request.hash, key)?
    {
        return Ok(Execution::Replied(reply, txn.dependency()));
    }
    if !request.is_read() {
        txn.check_capacity()?;
    }
    if request.command.grows() {
        txn.check_memory()?;
    }
    if key.is_some() {
        idempotency::check_capacity(txn, scope)?;
    }
    let result = dispatch(txn, request, key.as_ref());
    txn.abort_if_torn(&result);
    let result = match result {
        Ok(Ran::Continues(continuation)) => return Ok(Execution::Continues(continuation)),
        Ok(Ran::Done(output)) => Ok(output),
        Err(error) => Err(error),
    };
    let is_final = result.as_ref().map_or_else(Error::is_final, |_| true);
    let reply = encode_reply(result, txn.now());
    if let Some(key) = key.filter(|_| is_final) {
        idempotency::keep(txn, scope, &key, &reply);
    }
    Ok(Execution::Replied(reply, txn.dependency()))
}

/// Runs a command on the kind of record that it is for.
fn dispatch(txn: &mut Transaction<'_>, request: &Request, key: Option<&IdempotencyRef>) -> Result<Ran> {
    let output = match &request.command {
        Command::Ping => CommandOutput::written(0),
        Command::Cart { customer, command } => carts::execute(txn, request, customer, command)?,
        Command::Value { key, command } => values::execute(txn, request, key, command)?,
        Command::Product { product, command } => products::execute(txn, request, product, command)?,
        Command::ListProducts(list) => products::list(txn, list),
        Command::ListOrders(list) => return Ok(Ran::Continues(Continuation::List(list.clone()))),
        Command::Order(OrderCommand::Place(place)) => match begin::run(txn, request, place, key)? {
            Begun::Decided(output) => output,
            Begun::Placed(order) => return Ok(Ran::Continues(Continuation::Place(order))),
        },
        Command::Order(OrderCommand::Cancel(order)) => match cancel::begin(txn, request, *order, key)? {
            cancel::Begun::Done(output) => output,
            cancel::Begun::Cancelling { has_driver } => {
                return Ok(Ran::Continues(Continuation::Cancel { order: *order, has_driver }));
            }
        },
        Command::Order(OrderCommand::Get(order)) => orders::get(txn, *order)?,
        Command::Delivery(command) => deliveries::execute(txn, request, command)?,
        Command::Peer(PeerCommand::Hold(hold)) => CommandOutput::holds(&reservations::hold(txn, hold)?),
        Command::Peer(PeerCommand::Settle(settle)) => {
            reservations::settle(txn, settle)?;
            CommandOutput::written(0)
        }
        Command::Peer(PeerCommand::Return(returned)) => {
            returns::take_back(txn, returned)?;
            CommandOutput::written(0)
        }
        Command::Peer(PeerCommand::AskDecision(order)) => orders::decision(txn, *order)?,
    };
    Ok(Ran::Done(output))
}
