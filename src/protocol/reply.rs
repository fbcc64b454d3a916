//! Replies between shard and facade: results hold records as they are stored.

use bytes::Bytes;
use prost::Message;

use super::{proto, shop};
use crate::domain::cart::Cart;
use crate::domain::delivery::Delivery;
use crate::domain::order::{Order, SingleItem};
use crate::domain::reservation::{Holding, Ruling};
use crate::domain::time::Timestamp;
use crate::error::{Error, Fault, LineAtFault, LinesAtFault, Result};
use crate::protocol::{Answer, Outcome, Placed, Reply};
use crate::routing::ProductId;
use crate::storage::codec;
use proto::failure::Reason;
use proto::line_at_fault::{Fault as Faults, OutOfStock, SaleExpired, UnknownProduct};
use proto::reply::Result as Outcomes;

pub use proto::Reply as WireReply;

/// The output of a command that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOutput {
    created: bool,
    body: Outcomes,
}

impl CommandOutput {
    fn of(body: Outcomes) -> Self {
        CommandOutput { created: false, body }
    }

    /// The version of what was written; 0 when nothing has one.
    pub fn written(version: u64) -> Self {
        Self::of(Outcomes::Done(proto::Done { version }))
    }

    /// A cart's record; `None` for a customer without a cart.
    pub fn cart(record: Option<Bytes>) -> Self {
        Self::of(Outcomes::Cart(record.unwrap_or_default()))
    }

    /// A value's record.
    pub fn value(record: Bytes) -> Self {
        Self::of(Outcomes::Value(record))
    }

    /// A product's record.
    pub fn product(record: Bytes) -> Self {
        Self::of(Outcomes::Product(record))
    }

    /// The ids and records of products, and whether the list goes on.
    pub fn products(products: impl Iterator<Item = (String, Bytes)>, more: bool) -> Self {
        let products = products.map(|(product, record)| proto::products::Entry { product, record }).collect();
        Self::of(Outcomes::Products(proto::Products { products, more }))
    }

    /// An order, and what a reply says of its only product.
    pub fn order(order: &Order, item: &SingleItem) -> Self {
        Self::of(Outcomes::Order(proto::OrderReply {
            record: codec::encode_order(order).into(),
            title: item.title.clone(),
            remaining: item.remaining,
        }))
    }

    /// A delivery.
    pub fn delivery(delivery: &Delivery) -> Self {
        Self::of(Outcomes::Delivery(codec::encode_delivery(delivery).into()))
    }

    /// The results of a hold, in the order of its lines.
    pub fn holds(found: &[Holding]) -> Self {
        Self::of(Outcomes::Holdings(proto::Holdings { holdings: found.iter().map(shop::encode_holding).collect() }))
    }

    /// The decision on an order.
    pub fn decision(decision: Ruling) -> Self {
        Self::of(Outcomes::Ruling(proto::RulingReply { ruling: shop::encode_ruling(decision).into() }))
    }

    /// The same output, with the word whether something was made that was not there.
    #[must_use]
    pub fn with_created(self, created: bool) -> Self {
        CommandOutput { created, ..self }
    }
}

/// Encodes the result of a command that ran at a time. The session sets the reply's id.
pub fn encode_reply(result: Result<CommandOutput>, at: Timestamp) -> WireReply {
    let CommandOutput { created, body } = result.unwrap_or_else(|error| CommandOutput::of(failure(&error)));
    WireReply { id: 0, at: at.micros(), replayed: false, created, result: Some(body) }
}

/// Encodes a reply that is kept under an idempotency key.
pub fn encode_stored_reply(reply: &WireReply) -> Vec<u8> {
    reply.encode_to_vec()
}

/// Decodes a reply that was kept under an idempotency key, and marks it as replayed.
///
/// # Errors
/// [`Error::Fault`] when the bytes are not one.
pub fn decode_stored_reply(bytes: &[u8]) -> Result<WireReply> {
    let reply =
        WireReply::decode(bytes).map_err(|error| Error::Fault(format!("a stored reply cannot be read: {error}")))?;
    Ok(WireReply { replayed: true, ..reply })
}

/// A reply that says why nothing was done.
fn failure(error: &Error) -> Outcomes {
    let reason = match error {
        Error::Invalid(_) => Reason::Invalid,
        Error::NotFound(_) => Reason::NotFound,
        Error::PaymentRefused(_) => Reason::PaymentRefused,
        Error::Refused(_) => Reason::Refused,
        Error::LinesAtFault(_) => Reason::LinesAtFault,
        Error::InFlight(_) => Reason::InFlight,
        Error::Precondition(_) => Reason::Precondition,
        Error::KeyReused(_) => Reason::KeyReused,
        Error::Exhausted(_) => Reason::Exhausted,
        Error::Unavailable(_) => Reason::Unavailable,
        Error::WrongSlot(_) => Reason::WrongSlot,
        Error::Indeterminate(_) => Reason::Indeterminate,
        Error::Fault(_) => Reason::Fault,
    };
    let lines = match error {
        Error::LinesAtFault(at_fault) => at_fault.lines.iter().map(encode_fault).collect(),
        _ => Vec::new(),
    };
    Outcomes::Failure(proto::Failure { reason: reason.into(), detail: error.detail().to_owned(), lines })
}

/// What a shard replied. A reply that cannot be read is an [`Error::Fault`].
pub fn decode_reply(reply: proto::Reply) -> Reply {
    Reply { replayed: reply.replayed, result: decode_result(reply) }
}

fn decode_result(reply: proto::Reply) -> Result<Answer> {
    let outcome = match reply.result {
        Some(Outcomes::Failure(failure)) => return Err(decode_failure(failure)),
        Some(Outcomes::Done(done)) => Outcome::Done { version: done.version },
        Some(Outcomes::Cart(record)) if record.is_empty() => Outcome::Cart(Cart::default()),
        Some(Outcomes::Cart(record)) => Outcome::Cart(codec::decode_cart(&record)?),
        Some(Outcomes::Value(record)) => Outcome::Value(codec::decode_value(&record)?),
        Some(Outcomes::Product(record)) => Outcome::Product(codec::decode_product(&record)?),
        Some(Outcomes::Products(list)) => decode_products(list)?,
        Some(Outcomes::Order(reply)) => Outcome::Order(Placed {
            order: codec::decode_order(&reply.record)?,
            title: reply.title,
            remaining: reply.remaining,
        }),
        Some(Outcomes::Delivery(record)) => Outcome::Delivery(codec::decode_delivery(&record)?),
        Some(Outcomes::Holdings(list)) => {
            Outcome::Holdings(list.holdings.into_iter().map(shop::decode_holding).collect::<Result<_>>()?)
        }
        Some(Outcomes::Ruling(reply)) => Outcome::Ruling(shop::decode_ruling(reply.ruling)?),
        None => return Err(Error::Fault("the shard's reply has no result this release knows".into())),
    };
    Ok(Answer { at: Timestamp::from_micros(reply.at)?, created: reply.created, outcome })
}

fn decode_failure(failure: proto::Failure) -> Error {
    let detail = failure.detail;
    match Reason::try_from(failure.reason) {
        Ok(Reason::Invalid) => Error::Invalid(detail),
        Ok(Reason::NotFound) => Error::NotFound(detail),
        Ok(Reason::PaymentRefused) => Error::PaymentRefused(detail),
        Ok(Reason::Refused) => Error::Refused(detail),
        Ok(Reason::LinesAtFault) => {
            let lines = failure.lines.into_iter().filter_map(decode_fault).collect();
            Error::LinesAtFault(LinesAtFault { detail, lines })
        }
        Ok(Reason::InFlight) => Error::InFlight(detail),
        Ok(Reason::Precondition) => Error::Precondition(detail),
        Ok(Reason::KeyReused) => Error::KeyReused(detail),
        Ok(Reason::Exhausted) => Error::Exhausted(detail),
        Ok(Reason::Unavailable) => Error::Unavailable(detail),
        Ok(Reason::WrongSlot) => Error::WrongSlot(detail),
        Ok(Reason::Indeterminate) => Error::Indeterminate(detail),
        Ok(Reason::Fault | Reason::Unspecified) | Err(_) => Error::Fault(detail),
    }
}

fn decode_products(list: proto::Products) -> Result<Outcome> {
    let entries = list.products.into_iter();
    let products = entries.map(|entry| Ok((ProductId::new(entry.product)?, codec::decode_product(&entry.record)?)));
    Ok(Outcome::Products { products: products.collect::<Result<_>>()?, more: list.more })
}

fn encode_fault(line: &LineAtFault) -> proto::LineAtFault {
    let fault = match line.fault {
        Fault::UnknownProduct => Faults::Unknown(UnknownProduct {}),
        Fault::OutOfStock { available } => Faults::OutOfStock(OutOfStock { available }),
        Fault::SaleExpired { old_price, new_price } => Faults::SaleExpired(SaleExpired { old_price, new_price }),
    };
    proto::LineAtFault { item: line.item.clone(), fault: Some(fault) }
}

/// A fault of a later release is left out; the detail still tells it.
fn decode_fault(line: proto::LineAtFault) -> Option<LineAtFault> {
    let fault = match line.fault? {
        Faults::Unknown(_) => Fault::UnknownProduct,
        Faults::OutOfStock(OutOfStock { available }) => Fault::OutOfStock { available },
        Faults::SaleExpired(SaleExpired { old_price, new_price }) => Fault::SaleExpired { old_price, new_price },
    };
    Some(LineAtFault { item: line.item, fault })
}
