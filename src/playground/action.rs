//! What shoppers ask of a store, and what it says: the part of the API that they use, free of HTTP. So a test can put a
//! store in the place of the real one that loses, doubles or makes up things.

use std::fmt;
use std::time::Duration;

use super::cart::{Line, Lines};
use super::stock::Shown;
use crate::remote::{IdempotencyKey, Outcome};

/// A change that a shopper wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Adds to a cart.
    Add {
        /// The customer.
        customer: String,
        /// The item.
        item: String,
        /// How many, and at which price.
        line: Line,
    },
    /// Sets the count of a line, not to 0.
    Set {
        /// The customer.
        customer: String,
        /// The item.
        item: String,
        /// How many from now on.
        count: u32,
    },
    /// Removes a line.
    Remove {
        /// The customer.
        customer: String,
        /// The item.
        item: String,
    },
    /// Empties a cart without an order.
    Empty {
        /// The customer.
        customer: String,
    },
    /// Orders what is in a cart.
    CheckOut {
        /// The customer.
        customer: String,
        /// True to ask for a delivery too.
        with_address: bool,
    },
    /// Buys one copy, which is paid elsewhere.
    Purchase {
        /// The product.
        product: String,
    },
    /// Asks for the delivery of an order.
    Deliver {
        /// The order.
        order: String,
    },
    /// Moves a delivery on.
    Move {
        /// The delivery.
        delivery: String,
        /// Its next status.
        status: &'static str,
    },
    /// Cancels an order.
    Cancel {
        /// The order.
        order: String,
    },
    /// Makes a product.
    Create {
        /// Its id.
        product: String,
        /// What can be sold.
        stock: u64,
    },
    /// Brings in more of a product.
    Replenish {
        /// The product.
        product: String,
        /// How many more.
        quantity: u64,
    },
}

/// A question of a shopper, which changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The cart of a customer.
    Cart(String),
    /// A product.
    Product(String),
    /// An order.
    Order(String),
    /// A delivery.
    Delivery(String),
}

/// What a store says about something that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The lines of a cart.
    Cart(Lines),
    /// A product.
    Product(Shown),
    /// An order.
    Order(Order),
    /// A delivery.
    Delivery(Delivery),
    /// It was done, and the answer says nothing that a shopper checks.
    Done,
}

/// An order as the store shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Its status, as `created`.
    pub status: String,
    /// What was ordered.
    pub lines: Lines,
    /// Its delivery, where the answer names one.
    pub delivery: Option<String>,
}

/// A delivery as the store shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Its order.
    pub order: String,
    /// Its status, as `scheduled`.
    pub status: String,
}

/// The reason why a store has no fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What became of the request.
    pub outcome: Outcome,
    /// The reason for programs, as `out_of_stock`; empty when there was no answer.
    pub code: String,
    /// The explanation for people.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the store says.
    pub said: Result<Fact, Refusal>,
    /// The number of times that it was sent.
    pub attempts: u32,
}

/// A store that shoppers use.
pub trait Store: Send + Sync + 'static {
    /// Carries out an action once under its key, however often it is asked, and retries within this time.
    fn act(&self, action: &Action, key: &IdempotencyKey, time: Duration) -> impl Future<Output = Reply> + Send;

    /// Answers a question, and retries within this time.
    fn tell(&self, question: &Question, time: Duration) -> impl Future<Output = Reply> + Send;
}
