//! What each command does to the state: read the records, apply the domain's rule, write the
//! effects. A command that fails has written nothing.

use bytes::Bytes;

use super::writer::Writer;
use super::{deliveries, orders, products, reservations};
use crate::domain::cart::{Added, Cart};
use crate::domain::tag::{Condition, Tag};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::{self, proto};
use crate::protocol::{Command, Request};
use crate::routing::{CustomerId, ItemId, KvKey};
use crate::storage::RecordKind;
use crate::storage::codec;
use proto::reply::Result as Outcome;

/// What a command that succeeded replies.
pub struct Done {
    /// Whether something was made that was not there.
    pub created: bool,
    /// The reply's result.
    pub outcome: Outcome,
}

/// Runs a command.
///
/// # Errors
/// Whatever the rules refuse; nothing was written then.
pub fn run(writer: &mut Writer, request: &Request, now: Timestamp) -> Result<Done> {
    match &request.command {
        Command::Ping => Ok(Done { created: false, outcome: Outcome::Done(proto::Done { version: 0 }) }),
        Command::GetCart { customer } => {
            let record = writer.read(request.hash, RecordKind::Cart, customer.as_str().as_bytes());
            let record = record.map(Bytes::copy_from_slice);
            Ok(Done { created: false, outcome: protocol::cart_outcome(record) })
        }
        Command::AddLine { customer, item, offer, count } => {
            change_cart(
                writer,
                request,
                customer,
                now,
                |cart| Ok(cart.add(item.clone(), *offer, *count)? == Added::New),
            )
        }
        Command::SetCount { customer, item, count } => {
            check_pin(writer, request, customer, Some(item))?;
            change_cart(writer, request, customer, now, |cart| cart.set_count(item, *count).map(|()| false))
        }
        Command::RemoveLine { customer, item } => {
            check_pin(writer, request, customer, Some(item))?;
            change_cart(writer, request, customer, now, |cart| cart.remove(item).map(|()| false))
        }
        Command::TakeCart { customer } => take_cart(writer, request, customer, now),
        Command::GetValue { key } => get_value(writer, request, key),
        Command::PutValue { key, text } => put_value(writer, request, key, text),
        Command::DeleteValue { key } => delete_value(writer, request, key),
        other => run_shop(writer, request, other, now),
    }
}

fn run_shop(writer: &mut Writer, request: &Request, command: &Command, now: Timestamp) -> Result<Done> {
    let done = |outcome| Ok(Done { created: false, outcome });
    match command {
        Command::GetProduct { product } => products::get(writer, product),
        Command::CreateProduct { product } => products::create(writer, request, product),
        Command::ChangeProduct { product, change } => products::change(writer, request, product, change),
        Command::DeleteProduct { product } => products::delete(writer, request, product),
        Command::Replenish { product, count } => products::replenish(writer, request, product, *count),
        Command::ListProducts(list) => Ok(products::list(writer, list)),
        Command::GetOrder { order } => orders::record::get(writer, *order),
        Command::CreateDelivery { order, address, courier } => {
            deliveries::create(writer, *order, address, courier, now)
        }
        Command::GetDelivery { delivery } => deliveries::get(writer, *delivery),
        Command::MoveDelivery { delivery, status } => deliveries::move_to(writer, request, *delivery, *status, now),
        Command::Hold(hold) => {
            let holdings = reservations::hold(writer, hold, now)?;
            let holdings = holdings.iter().map(protocol::encode_holding).collect();
            done(Outcome::Holdings(proto::Holdings { holdings }))
        }
        Command::Settle(settle) => {
            reservations::settle(writer, settle, now)?;
            done(Outcome::Done(proto::Done { version: 0 }))
        }
        Command::Rule { order } => orders::record::rule(writer, *order),
        _ => Err(Error::Invalid("the command cannot be run by itself".into())),
    }
}

/// Holds a request's condition against what there is.
///
/// # Errors
/// [`Error::Precondition`].
pub fn check(condition: Option<&Condition>, current: Option<Tag>) -> Result<()> {
    match condition {
        Some(condition) if !condition.matches(current) => {
            Err(Error::Precondition("If-Match: it does not match the current ETag; nothing was applied".into()))
        }
        _ => Ok(()),
    }
}

/// A customer without a cart has an empty one of version 0, which conditions are held against too.
///
/// # Errors
/// [`Error::Precondition`], or [`Error::Fault`] for a damaged record.
pub fn read_cart(writer: &mut Writer, request: &Request, customer: &CustomerId, now: Timestamp) -> Result<Cart> {
    let record = writer.read(request.hash, RecordKind::Cart, customer.as_str().as_bytes());
    let cart = record.map(codec::decode_cart).transpose()?.unwrap_or_default();
    check(request.if_match.as_ref(), Some(cart.tag(now)))?;
    Ok(cart)
}

fn change_cart(
    writer: &mut Writer,
    request: &Request,
    customer: &CustomerId,
    now: Timestamp,
    change: impl FnOnce(&mut Cart) -> Result<bool>,
) -> Result<Done> {
    let mut cart = read_cart(writer, request, customer, now)?;
    let created = change(&mut cart)?;
    let id = customer.as_str().as_bytes();
    if cart.lines.is_empty() {
        writer.delete(request.hash, RecordKind::Cart, id);
        return Ok(Done { created, outcome: protocol::cart_outcome(None) });
    }
    cart.version = writer.next_version();
    cart.updated_at = Some(now);
    let record = codec::encode_cart(&cart);
    writer.put(request.hash, RecordKind::Cart, id, &record);
    Ok(Done { created, outcome: protocol::cart_outcome(Some(record.into())) })
}

/// A checkout that is under way keeps its lines; without a line named, the whole cart.
fn check_pin(writer: &mut Writer, request: &Request, customer: &CustomerId, item: Option<&ItemId>) -> Result<()> {
    let record = writer.read(request.hash, RecordKind::Cart, customer.as_str().as_bytes());
    let Some(order) = record.map(codec::decode_pin).transpose()?.flatten() else { return Ok(()) };
    let order = orders::record::find(writer, order)?;
    let is_ordered = |item: &ItemId| {
        order.is_some_and(|order| order.lines.iter().any(|line| line.product.as_str() == item.as_str()))
    };
    match item.is_none_or(is_ordered) {
        true => Err(Error::InFlight("the cart is being checked out; only additions are taken meanwhile".into())),
        false => Ok(()),
    }
}

fn take_cart(writer: &mut Writer, request: &Request, customer: &CustomerId, now: Timestamp) -> Result<Done> {
    check_pin(writer, request, customer, None)?;
    let cart = read_cart(writer, request, customer, now)?;
    if cart.lines.is_empty() {
        return Err(Error::NotFound("the cart is empty".into()));
    }
    let id = customer.as_str().as_bytes();
    writer.delete(request.hash, RecordKind::Cart, id);
    Ok(Done { created: false, outcome: protocol::cart_outcome(Some(codec::encode_cart(&cart).into())) })
}

fn no_such_key() -> Error {
    Error::NotFound("there is no such key".into())
}

fn get_value(writer: &mut Writer, request: &Request, key: &KvKey) -> Result<Done> {
    let record = writer.read(request.hash, RecordKind::Kv, key.as_str().as_bytes()).ok_or_else(no_such_key)?;
    Ok(Done { created: false, outcome: Outcome::Value(Bytes::copy_from_slice(record)) })
}

/// The version of a value, held against the request's condition.
fn value_version(writer: &mut Writer, request: &Request, key: &KvKey) -> Result<Option<u64>> {
    let record = writer.read(request.hash, RecordKind::Kv, key.as_str().as_bytes());
    let version = record.map(codec::decode_version).transpose()?;
    check(request.if_match.as_ref(), version.map(Tag::of_version))?;
    Ok(version)
}

fn put_value(writer: &mut Writer, request: &Request, key: &KvKey, text: &str) -> Result<Done> {
    let before = value_version(writer, request, key)?;
    let version = writer.next_version();
    writer.put(request.hash, RecordKind::Kv, key.as_str().as_bytes(), &codec::encode_value(version, text));
    Ok(Done { created: before.is_none(), outcome: Outcome::Done(proto::Done { version }) })
}

fn delete_value(writer: &mut Writer, request: &Request, key: &KvKey) -> Result<Done> {
    let version = value_version(writer, request, key)?.ok_or_else(no_such_key)?;
    writer.delete(request.hash, RecordKind::Kv, key.as_str().as_bytes());
    Ok(Done { created: false, outcome: Outcome::Done(proto::Done { version }) })
}
