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
    /// The settlement that follows from the decision; `None` while there is none.
    pub fn settlement(self) -> Option<Settlement> {
        match self {
            Decision::Undecided => None,
            Decision::Created => Some(Settlement::Claim),
            Decision::Refused => Some(Settlement::Release),
        }
    }
}
