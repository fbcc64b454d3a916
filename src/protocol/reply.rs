//! Replies to commands, and their protobuf messages. A message holds records in their stored form.

use bytes::Bytes;
use prost::Message as _;

use super::orders::order_id;
use super::{peers, proto};
use crate::domain::cart::Cart;
use crate::domain::delivery::Delivery;
use crate::domain::order::{OrderRecord, Recorded, SingleItem};
use crate::domain::product::Product;
use crate::domain::reservation::{Decision, HoldResult};
use crate::domain::time::Timestamp;
use crate::domain::value::Value;
use crate::error::{ConflictCode, Error, Exhausted, Invalid, LineProblem, RejectedLine, RejectedLines, Result};
use crate::routing::{OrderId, ProductId};
use crate::storage::codec;
use proto::failure::Reason;
use proto::line_at_fault::{Fault as Faults, OutOfStock, SaleExpired, StockHeld, UnknownProduct};
use proto::reply::Result as Outcomes;

pub use proto::Reply as WireReply;

/// The reply to a command, whose answer has a body of type `T`.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<T> {
    /// True for a stored reply that is sent again for the same `Idempotency-Key`.
    pub replayed: bool,
    /// The answer, or the error.
    pub result: Result<Answer<T>>,
}

/// The answer to a command that succeeded.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The time at which it was computed. Whatever depends on the time, such as the end of a sale, is as of then.
    pub at: Timestamp,
    /// True if the command created something.
    pub created: bool,
    /// The body.
    pub body: T,
}

/// The body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// The result of a write without a record to show.
    Written(Written),
    /// A cart.
    Cart(Cart),
    /// A value.
    Value(Value),
    /// A product.
    Product(Product),
    /// A shard's part of a list.
    Products(ProductList),
    /// An order.
    Order(Placed),
    /// A part of a list of orders.
    Orders(OrderList),
    /// A delivery.
    Delivery(Delivery),
    /// The results of a hold, in the order of its lines.
    Holds(Vec<HoldResult>),
    /// The decision on an order.
    Decision(Decision),
}

/// The result of a write without a record to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version of the record that was written or deleted; 0 when there is none.
    pub version: u64,
}

/// A shard's part of a list of products.
#[derive(Debug, PartialEq, Eq)]
pub struct ProductList {
    /// The products in the order of their ids.
    pub products: Vec<(ProductId, Product)>,
    /// True if the shard has more of them after these.
    pub has_more: bool,
}

/// A part of a list of orders.
#[derive(Debug, PartialEq, Eq)]
pub struct OrderList {
    /// The orders, the newest first.
    pub orders: Vec<OrderRecord>,
    /// The order up to which the part is complete; `None` when it goes to the end of the list.
    pub reached: Option<OrderId>,
}

/// An order and, for an order of a single product, the product's title and remaining stock.
#[derive(Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order.
    pub order: OrderRecord,
    /// The product's title; empty for others.
    pub title: String,
    /// The count that could still be sold after stock was held; 0 for others.
    pub remaining: u64,
}

/// A type of body that some commands answer with.
pub trait FromReply: Sized {
    /// Unwraps a body; `None` when it is of another type.
    fn from_reply(body: ReplyBody) -> Option<Self>;
}

macro_rules! from_reply {
    ($($variant:ident($type:ty)),* $(,)?) => {$(
        impl FromReply for $type {
            fn from_reply(body: ReplyBody) -> Option<Self> {
                if let ReplyBody::$variant(found) = body { Some(found) } else { None }
            }
        }
    )*};
}

from_reply! {
    Written(Written),
    Cart(Cart),
    Value(Value),
    Product(Product),
    Products(ProductList),
    Order(Placed),
    Orders(OrderList),
    Delivery(Delivery),
    Holds(Vec<HoldResult>),
    Decision(Decision),
}

impl<T> From<Error> for Reply<T> {
    fn from(error: Error) -> Self {
        Reply { replayed: false, result: Err(error) }
    }
}

impl Reply<ReplyBody> {
    /// Converts the reply to the type of body that its command answers with. Another type is an [`Error::Internal`].
    pub fn typed<T: FromReply>(self) -> Reply<T> {
        let result = self.result.and_then(|Answer { at, created, body }| {
            let body = T::from_reply(body)
                .ok_or_else(|| Error::Internal("the shard's reply is of another type than its command's".into()))?;
            Ok(Answer { at, created, body })
        });
        Reply { replayed: self.replayed, result }
    }
}

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

    /// The result of a write, with the version of its record; 0 when there is none.
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

    /// The ids and records of products. `more` is true when the list goes on after them.
    pub fn products(products: impl Iterator<Item = (String, Bytes)>, more: bool) -> Self {
        let products = products.map(|(product, record)| proto::products::Entry { product, record }).collect();
        Self::of(Outcomes::Products(proto::Products { products, more }))
    }

    /// An order and, if it has only one, its product.
    pub fn order(order: &impl Recorded, item: &SingleItem) -> Self {
        Self::of(Outcomes::Order(proto::OrderReply {
            record: codec::encode_order(order).into(),
            title: item.title.clone(),
            remaining: item.remaining,
        }))
    }

    /// The records of orders, as a part of a list that is complete up to `reached`; `None` when it goes to the end.
    pub fn orders(orders: Vec<Bytes>, reached: Option<OrderId>) -> Self {
        let reached = reached.map(|order| Bytes::copy_from_slice(order.as_bytes())).unwrap_or_default();
        Self::of(Outcomes::Orders(proto::Orders { orders, reached }))
    }

    /// A delivery.
    pub fn delivery(delivery: &Delivery) -> Self {
        Self::of(Outcomes::Delivery(codec::encode_delivery(delivery).into()))
    }

    /// The results of a hold, in the order of its lines.
    pub fn holds(found: &[HoldResult]) -> Self {
        Self::of(Outcomes::Holdings(proto::Holdings {
            holdings: found.iter().map(peers::encode_hold_result).collect(),
        }))
    }

    /// The decision on an order.
    pub fn decision(decision: Decision) -> Self {
        Self::of(Outcomes::Ruling(proto::RulingReply { ruling: peers::encode_decision(decision).into() }))
    }

    /// The same output, with the statement whether something was created.
    #[must_use]
    pub fn with_created(self, created: bool) -> Self {
        CommandOutput { created, ..self }
    }
}

/// Encodes the result of a command that ran at the time `at`. The session sets the reply's id.
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
/// [`Error::Internal`] when the bytes are not a reply.
pub fn decode_stored_reply(bytes: &[u8]) -> Result<WireReply> {
    let reply =
        WireReply::decode(bytes).map_err(|error| Error::Internal(format!("a stored reply cannot be read: {error}")))?;
    Ok(WireReply { replayed: true, ..reply })
}

/// True when a reply says that the shard, and not its caller, is the reason why a request was not served.
pub fn is_failure(reply: &WireReply) -> bool {
    let Some(Outcomes::Failure(failure)) = &reply.result else { return false };
    matches!(
        failure.reason(),
        Reason::Unavailable | Reason::OutOfMemory | Reason::WrongSlot | Reason::Indeterminate | Reason::Fault
    )
}

/// Encodes an error.
fn failure(error: &Error) -> Outcomes {
    let reason = match error {
        Error::Invalid(_) => Reason::Invalid,
        Error::NotFound(_) => Reason::NotFound,
        Error::CardMissing(_) => Reason::CardMissing,
        Error::PaymentRefused(_) => Reason::PaymentRefused,
        Error::Conflict(_) => Reason::Refused,
        Error::LinesRejected(_) => Reason::LinesAtFault,
        Error::InFlight(_) => Reason::InFlight,
        Error::PreconditionFailed(_) => Reason::Precondition,
        Error::KeyReused(_) => Reason::KeyReused,
        Error::Exhausted(_) => Reason::Exhausted,
        Error::OutOfMemory(_) => Reason::OutOfMemory,
        Error::Unavailable(_) => Reason::Unavailable,
        Error::WrongSlot(_) => Reason::WrongSlot,
        Error::Indeterminate(_) => Reason::Indeterminate,
        Error::Internal(_) => Reason::Fault,
    };
    let lines = match error {
        Error::LinesRejected(at_fault) => at_fault.lines.iter().map(encode_fault).collect(),
        _ => Vec::new(),
    };
    let field = match error {
        Error::Invalid(invalid) => invalid.field().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let code = match error {
        Error::Conflict(conflict) => conflict.code.name().to_owned(),
        _ => String::new(),
    };
    let retry_after_s = match error {
        Error::Exhausted(exhausted) => exhausted.retry_after.unwrap_or(0),
        _ => 0,
    };
    let detail = error.detail().into_owned();
    Outcomes::Failure(proto::Failure { reason: reason.into(), detail, lines, field, code, retry_after_s })
}

/// Decodes a reply. One that cannot be read is an [`Error::Internal`].
pub fn decode_reply(reply: proto::Reply) -> Reply<ReplyBody> {
    Reply { replayed: reply.replayed, result: decode_result(reply) }
}

fn decode_result(reply: proto::Reply) -> Result<Answer<ReplyBody>> {
    let body = match reply.result {
        Some(Outcomes::Failure(failure)) => return Err(decode_failure(failure)),
        Some(Outcomes::Done(done)) => ReplyBody::Written(Written { version: done.version }),
        Some(Outcomes::Cart(record)) if record.is_empty() => ReplyBody::Cart(Cart::default()),
        Some(Outcomes::Cart(record)) => ReplyBody::Cart(codec::decode_cart(&record)?),
        Some(Outcomes::Value(record)) => ReplyBody::Value(codec::decode_value(&record)?),
        Some(Outcomes::Product(record)) => ReplyBody::Product(codec::decode_product(&record)?),
        Some(Outcomes::Products(list)) => ReplyBody::Products(decode_products(list)?),
        Some(Outcomes::Order(reply)) => ReplyBody::Order(Placed {
            order: codec::decode_order(&reply.record)?,
            title: reply.title,
            remaining: reply.remaining,
        }),
        Some(Outcomes::Orders(list)) => ReplyBody::Orders(decode_orders(list)?),
        Some(Outcomes::Delivery(record)) => ReplyBody::Delivery(codec::decode_delivery(&record)?),
        Some(Outcomes::Holdings(list)) => {
            ReplyBody::Holds(list.holdings.into_iter().map(peers::decode_hold_result).collect::<Result<_>>()?)
        }
        Some(Outcomes::Ruling(reply)) => ReplyBody::Decision(peers::decode_decision(reply.ruling)?),
        None => return Err(Error::Internal("the shard's reply has no result this release knows".into())),
    };
    Ok(Answer { at: Timestamp::from_micros(reply.at)?, created: reply.created, body })
}

fn decode_failure(failure: proto::Failure) -> Error {
    let detail = failure.detail;
    match Reason::try_from(failure.reason) {
        Ok(Reason::Invalid) => Error::Invalid(decode_invalid(failure.field, &detail)),
        Ok(Reason::NotFound) => Error::NotFound(detail),
        Ok(Reason::CardMissing) => Error::CardMissing(detail),
        Ok(Reason::PaymentRefused) => Error::PaymentRefused(detail),
        Ok(Reason::Refused) => Error::conflict(ConflictCode::of_name(&failure.code), detail),
        Ok(Reason::LinesAtFault) => {
            let lines = failure.lines.into_iter().filter_map(decode_fault).collect();
            Error::LinesRejected(RejectedLines { detail, lines })
        }
        Ok(Reason::InFlight) => Error::InFlight(detail),
        Ok(Reason::Precondition) => Error::PreconditionFailed(detail),
        Ok(Reason::KeyReused) => Error::KeyReused(detail),
        Ok(Reason::Exhausted) => {
            let retry_after = (failure.retry_after_s > 0).then_some(failure.retry_after_s);
            Error::Exhausted(Exhausted { detail, retry_after })
        }
        Ok(Reason::OutOfMemory) => Error::OutOfMemory(detail),
        Ok(Reason::Unavailable) => Error::Unavailable(detail),
        Ok(Reason::WrongSlot) => Error::WrongSlot(detail),
        Ok(Reason::Indeterminate) => Error::Indeterminate(detail),
        Ok(Reason::Fault | Reason::Unspecified) | Err(_) => Error::Internal(detail),
    }
}

fn decode_invalid(field: String, detail: &str) -> Invalid {
    match detail.strip_prefix(field.as_str()).and_then(|rest| rest.strip_prefix(": ")) {
        Some(reason) => Invalid::new(field, reason),
        None => Invalid::general(detail),
    }
}

fn decode_products(list: proto::Products) -> Result<ProductList> {
    let entries = list.products.into_iter();
    let products = entries.map(|entry| Ok((ProductId::new(entry.product)?, codec::decode_product(&entry.record)?)));
    Ok(ProductList { products: products.collect::<Result<_>>()?, has_more: list.more })
}

fn decode_orders(list: proto::Orders) -> Result<OrderList> {
    let orders = list.orders.iter().map(|record| codec::decode_order(record)).collect::<Result<_>>()?;
    let reached = if list.reached.is_empty() { None } else { Some(order_id(&list.reached)?) };
    Ok(OrderList { orders, reached })
}

fn encode_fault(line: &RejectedLine) -> proto::LineAtFault {
    let fault = match line.problem {
        LineProblem::UnknownProduct => Faults::Unknown(UnknownProduct {}),
        LineProblem::StockHeld { available } => Faults::StockHeld(StockHeld { available }),
        LineProblem::OutOfStock { available } => Faults::OutOfStock(OutOfStock { available }),
        LineProblem::SaleExpired { old_price, new_price } => Faults::SaleExpired(SaleExpired { old_price, new_price }),
    };
    proto::LineAtFault { item: line.item.clone(), fault: Some(fault) }
}

/// Decodes a line at fault; `None` for a problem that only a later release knows, which the detail still names.
fn decode_fault(line: proto::LineAtFault) -> Option<RejectedLine> {
    let problem = match line.fault? {
        Faults::Unknown(_) => LineProblem::UnknownProduct,
        Faults::StockHeld(StockHeld { available }) => LineProblem::StockHeld { available },
        Faults::OutOfStock(OutOfStock { available }) => LineProblem::OutOfStock { available },
        Faults::SaleExpired(SaleExpired { old_price, new_price }) => LineProblem::SaleExpired { old_price, new_price },
    };
    Some(RejectedLine { item: line.item, problem })
}
