//! Stock that an order holds, on the product's shard: how it is asked for, what is found, and how it ends.

use super::money::Money;
use super::time::Timestamp;
use crate::routing::{OrderId, ProductId};

/// Stock that an order holds. It carries what the order needs of the product, which may be deleted
/// meanwhile.
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
    /// Only looks: nothing is held.
    Quote,
    /// Holds all lines, or none.
    Hold,
}

/// The result of a hold for one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldResult {
    /// There is enough. It is held, unless the hold only looked or another of its lines failed.
    Held(Quote),
    /// There is not enough.
    Short(Quote),
    /// There is no such product.
    UnknownProduct,
    /// The order was decided before: a late hold.
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
    /// The title.
    pub title: String,
}

/// The decision on an order, as its home tells it to a shard that holds stock for it.
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
    /// The stock can be sold to others again.
    Release,
}

impl Decision {
    /// The settlement that follows from it; `None` while there is no decision.
    pub fn settlement(self) -> Option<Settlement> {
        match self {
            Decision::Undecided => None,
            Decision::Created => Some(Settlement::Claim),
            Decision::Refused => Some(Settlement::Release),
        }
    }
}
