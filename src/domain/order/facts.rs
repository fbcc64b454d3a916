//! The facts that an order has in every state, its total, and the reasons to refuse it.

use super::history::{OrderEvent, OrderStep};
use super::line::OrderLine;
use super::numbered::numbered;
use crate::domain::card::LastFour;
use crate::domain::money::Total;
use crate::domain::reservation::HoldResult;
use crate::domain::tag::Tag;
use crate::domain::time::Timestamp;
use crate::error::{Error, LineProblem, RejectedLine, RejectedLines, Result};
use crate::routing::{CustomerId, KeyHash, OrderId};

numbered! {
    /// The request that placed an order; it decides which error a refusal is. Records hold the number.
    pub enum Origin {
        /// `/purchase`: one copy, without payment.
        Purchase = 0,
        /// `/buy`: one product.
        Buy = 1,
        /// `/api/orders`: books by ISBN.
        Books = 2,
        /// `/checkout`: a cart.
        Checkout = 3,
    }
}

/// The idempotency key under which an order was placed, as its shard stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRef {
    /// The id of the stored reply.
    pub digest: [u8; 16],
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// The request it came from.
    pub origin: Origin,
    /// The customer; `None` for `/buy` and `/purchase`, which name none.
    pub customer: Option<CustomerId>,
    /// The lines, without prices; never empty.
    pub lines: Vec<OrderLine>,
    /// The address of a checkout's delivery.
    pub address: Option<String>,
    /// True if a checkout's customer accepts the catalog price where a sale has ended.
    pub accepts_price_changes: bool,
    /// The last four characters of the card, if one was given.
    pub card: Option<LastFour>,
    /// The idempotency key, if there was one.
    pub idempotency: Option<IdempotencyRef>,
}

/// The content of an order in every state. [`super::Order`] derefs to it, but not mutably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The record's version; 0 until the record is written.
    pub version: u64,
    /// Its id.
    pub id: OrderId,
    /// The request it came from.
    pub origin: Origin,
    /// The customer; `None` for `/buy` and `/purchase`, which name none.
    pub customer: Option<CustomerId>,
    /// The lines; never empty.
    pub lines: Vec<OrderLine>,
    /// The address of a checkout's delivery.
    pub address: Option<String>,
    /// True if a checkout's customer accepts the catalog price where a sale has ended.
    pub accepts_price_changes: bool,
    /// The last four characters of the card, if one was given.
    pub card: Option<LastFour>,
    /// The idempotency key, if there was one.
    pub idempotency: Option<IdempotencyRef>,
    /// The steps so far.
    pub steps: Vec<OrderStep>,
}

/// The error of an order that costs something and has no card.
pub fn card_missing() -> Error {
    Error::CardMissing("payment: a card_number is needed".into())
}

impl Facts {
    /// The facts of an order without a record or a step.
    pub(super) fn new(new: NewOrder) -> Self {
        Facts {
            version: 0,
            id: new.id,
            origin: new.origin,
            customer: new.customer,
            lines: new.lines,
            address: new.address,
            accepts_price_changes: new.accepts_price_changes,
            card: new.card,
            idempotency: new.idempotency,
            steps: Vec::new(),
        }
    }

    /// The hash that routed its request: the customer's, or the product's for an order without a customer.
    pub fn home(&self) -> KeyHash {
        match (&self.customer, self.lines.first()) {
            (Some(customer), _) => customer.hash(),
            (None, Some(line)) => line.product.hash(),
            (None, None) => self.id.hash(),
        }
    }

    /// Its entity tag.
    pub fn tag(&self) -> Tag {
        Tag::of_version(self.version)
    }

    /// The sum over the lines whose price is known: 0 for an order that was just placed or read back.
    pub fn total(&self) -> Total {
        let priced = self.lines.iter().filter_map(|line| Some((line.price?, line.count)));
        priced.fold(Total::default(), |total, (price, count)| total.add(price, count))
    }

    /// True if the lines whose price is known cost money.
    pub fn asks_payment(&self) -> bool {
        self.origin != Origin::Purchase && self.total().hundredths() > 0
    }

    /// Adds a step to the history.
    pub(super) fn record_step(&mut self, event: OrderEvent, at: Timestamp) {
        self.steps.push(OrderStep { event, at });
    }

    /// Adds the step that all stock is held, unless the history has it.
    pub(super) fn record_held(&mut self, at: Timestamp) {
        if !self.steps.iter().any(|step| step.event == OrderEvent::Held) {
            self.record_step(OrderEvent::Held, at);
        }
    }

    /// Sets the price of each line from the results of a quote or a hold. The prices are kept on an error too,
    /// since a refused order shows them.
    ///
    /// # Errors
    /// The reason to refuse the order, naming all lines at fault. Unknown products and changed prices take
    /// precedence over a missing card, and a missing card over insufficient stock.
    pub(super) fn apply_quotes(&mut self, found: &[HoldResult]) -> Result<()> {
        let needs_isbn = self.origin == Origin::Books;
        let mut rejected = Vec::new();
        for (line, found) in self.lines.iter_mut().zip(found) {
            let problem = line.apply_quote(found, needs_isbn, self.accepts_price_changes)?;
            rejected.extend(problem.map(|problem| RejectedLine { item: line.product.as_str().to_owned(), problem }));
        }
        let is_only_short = rejected
            .iter()
            .all(|line| matches!(line.problem, LineProblem::OutOfStock { .. } | LineProblem::StockHeld { .. }));
        if is_only_short && self.asks_payment() && self.card.is_none() {
            return Err(card_missing());
        }
        if rejected.is_empty() { Ok(()) } else { Err(self.refusal(rejected)) }
    }

    fn refusal(&self, rejected: Vec<RejectedLine>) -> Error {
        let unknown: Vec<_> = rejected
            .iter()
            .filter(|line| line.problem == LineProblem::UnknownProduct)
            .map(|line| line.item.as_str())
            .collect();
        match self.origin {
            Origin::Purchase | Origin::Buy if !unknown.is_empty() => Error::NotFound("there is no such product".into()),
            Origin::Books if !unknown.is_empty() => {
                Error::invalid("items", format!("unknown book {}", unknown.join(", ")))
            }
            _ => Error::LinesRejected(RejectedLines::new(rejected)),
        }
    }
}
