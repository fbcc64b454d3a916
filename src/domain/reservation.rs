//! What an order holds of a product, on the product's shard, and what becomes of it.

use super::money::Money;
use super::time::Timestamp;
use crate::routing::{OrderId, ProductId};

/// Stock that an order holds. It carries what the order needs of the product, which may be deleted
/// meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The record's version.
    pub version: u64,
    /// Who holds it.
    pub order: OrderId,
    /// Of what.
    pub product: ProductId,
    /// Of which one of that id: a product that was deleted and made again is another one.
    pub incarnation: u64,
    /// How many.
    pub count: u32,
    /// The catalogue's price when it was held.
    pub price: Money,
    /// Whether the product's id was its ISBN.
    pub has_isbn: bool,
    /// Since when.
    pub held_at: Timestamp,
}

/// What becomes of held stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// The order is not decided.
    Keep,
    /// It is sold.
    Claim,
    /// It can be sold to others again.
    Release,
}

/// What came of one line of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// There is enough; it is held unless the hold was only a look, or another of its lines failed.
    Enough(Held),
    /// There is not enough.
    Short {
        /// What the product is.
        product: Held,
    },
    /// There is no such product.
    Unknown,
    /// The order was decided before: a late hold.
    Settled,
}

/// What an order needs to know of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The catalogue's price.
    pub price: Money,
    /// Whether its id is its ISBN.
    pub has_isbn: bool,
    /// What can still be sold.
    pub available: u64,
    /// Its title.
    pub title: String,
}
