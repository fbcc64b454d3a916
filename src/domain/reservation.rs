//! Stock that an order holds on a product's shard: the request for it, its result, and its end.

use super::money::Money;
use super::time::Timestamp;
use crate::routing::{OrderId, ProductId};

/// Stock that an order holds. It has a copy of the product's price and ISBN flag, since the product may be
/// deleted before the order is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The record's version.
    pub version: u64,
    /// The order that holds it.
    pub order: OrderId,
    /// The product.
    pub product: ProductId,
    /// The product's incarnation. A product deleted and created again has a new one.
    pub incarnation: u64,
    /// The count, at least 1.
    pub count: u32,
    /// The catalog price when it was held.
    pub price: Money,
    /// True if the product's id was its ISBN.
    pub has_isbn: bool,
    /// The time of the hold.
    pub held_at: Timestamp,
}

/// The mode of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldMode {
    /// Reads prices and stock without holding anything.
    Quote,
    /// Holds all lines, or none.
    Hold,
}

/// The result of a hold for one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldResult {
    /// There is enough stock. It is held, unless the mode is a quote or another line failed.
    Held(Quote),
    /// There is not enough stock.
    Short(Quote),
    /// There is no such product.
    UnknownProduct,
    /// The hold is late: the order's stock was settled before.
    AlreadySettled,
}

/// The price and stock of a product, as an order sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The catalog price.
    pub price: Money,
    /// True if the product's id is its ISBN.
    pub has_isbn: bool,
    /// The count that can still be sold.
    pub available: u64,
    /// The count that orders hold that are not decided yet.
    pub held: u64,
    /// The title.
    pub title: String,
    /// The product's incarnation; `None` from a shard of a release that does not tell it.
    pub incarnation: Option<u64>,
}

/// A product's part of a cancelled order, which can be sold again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnedLine {
    /// The product.
    pub product: ProductId,
    /// The product's incarnation when it was held. One that was created again gets nothing back.
    pub incarnation: u64,
    /// The count, at least 1.
    pub count: u32,
}

/// The note of a product's shard that a product's part of a cancelled order is back. It is kept as long as the order's home
/// may ask for it again, so that nothing comes back twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The record's version.
    pub version: u64,
    /// The order.
    pub order: OrderId,
    /// The product.
    pub product: ProductId,
    /// The time since which the home is known not to ask any more.
    pub closed_at: Option<Timestamp>,
}

/// The decision on an order, as its home shard reports it to a shard that holds stock for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// There is none yet: keep the stock.
    Undecided,
    /// The order was created.
    Created,
    /// The order was refused, or there is no such order.
    Refused,
    /// The order was created and then cancelled; its home may still ask for the stock.
    Cancelled,
    /// The same, and the home has nothing left to ask for.
    CancelledAndClosed,
}

/// The end of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The stock is sold.
    Claim,
    /// The stock can be sold again.
    Release,
}

impl Decision {
    /// The settlement that follows from the decision. `None` while there is none, and for a cancelled order, whose stock is
    /// taken back instead.
    pub fn settlement(self) -> Option<Settlement> {
        match self {
            Decision::Undecided | Decision::Cancelled | Decision::CancelledAndClosed => None,
            Decision::Created => Some(Settlement::Claim),
            Decision::Refused => Some(Settlement::Release),
        }
    }
}
