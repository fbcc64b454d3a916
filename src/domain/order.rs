//! The rules of an order: what was asked for, what it costs, when it is refused.

use super::card::LastFour;
use super::money::{Money, Total};
use super::reservation::{Held, Holding};
use super::tag::Tag;
use super::time::Timestamp;
use crate::error::{Error, Fault, LineAtFault, LinesAtFault, Result};
use crate::routing::{CustomerId, DeliveryId, KeyHash, OrderId, ProductId};

/// The most lines of an order that is not a cart's.
pub const MAX_ORDER_LINES: usize = 100;

/// Which request an order came from; it decides how a refusal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `/purchase`: one copy, no payment asked.
    Purchase,
    /// `/buy`: one product.
    Buy,
    /// `/api/orders`: books by ISBN.
    Books,
    /// `/checkout`: a cart.
    Checkout,
}

/// Which price a line was asked for at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The catalogue's.
    Catalogue,
    /// The one it was offered at.
    Offer(Money),
    /// It was offered at this one in a sale that is over: the catalogue's counts.
    ExpiredOffer(Money),
}

/// One product of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Which product.
    pub product: ProductId,
    /// How many.
    pub count: u32,
    /// At which price it was asked for.
    pub asked: Asked,
    /// The price of one; `None` until stock is held.
    pub price: Option<Money>,
    /// Whether the id is an ISBN, as far as is known.
    pub has_isbn: bool,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not decided.
    Pending,
    /// Paid, or paid for with nothing; it stands.
    Created,
    /// It left everything as it was; why.
    Refused(String),
}

/// Where an order's payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// None was asked for.
    None,
    /// Not decided.
    Pending,
    /// The money is set aside.
    Authorised,
    /// The money is taken.
    Captured,
    /// The gateway refuses to take the money for good.
    CaptureFailed,
    /// The gateway refused to set money aside.
    Refused,
    /// Given up, and the gateway knows.
    Voided,
}

/// What is known of an order's payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPayment {
    /// Where it stands.
    pub status: PaymentStatus,
    /// The gateway's id.
    pub transaction: Option<String>,
    /// Of the card.
    pub last_four: Option<LastFour>,
}

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was written down.
    Pending,
    /// All its stock is held.
    Held,
    /// The payment was authorised.
    Authorised,
    /// It stands.
    Created,
    /// It does not stand.
    Refused,
    /// Its shard was started again and goes on with it.
    Resumed,
    /// All held stock is sold.
    Claimed,
    /// All held stock is given back.
    Released,
    /// The money is taken.
    Captured,
    /// The money will never be taken.
    CaptureFailed,
    /// The payment was given up.
    Voided,
}

/// A step of an order and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
}

/// The idempotency key of a request, as its shard keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRef {
    /// The id of the stored reply's record.
    pub digest: [u8; 16],
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
}

/// An order: the saga's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The record's version.
    pub version: u64,
    /// Its id.
    pub id: OrderId,
    /// Which request it came from.
    pub origin: Origin,
    /// Whose it is; `None` for `/buy` and `/purchase`, which name nobody.
    pub customer: Option<CustomerId>,
    /// What is ordered; never empty.
    pub lines: Vec<OrderLine>,
    /// Where it stands.
    pub status: Status,
    /// Its payment.
    pub payment: OrderPayment,
    /// Where it is to be delivered, of a checkout.
    pub address: Option<String>,
    /// The delivery that was made with it.
    pub delivery: Option<DeliveryId>,
    /// A checkout's customer takes the catalogue's price where a sale is over.
    pub accepts_price_changes: bool,
    /// What happened so far.
    pub steps: Vec<Step>,
    /// The idempotency key that it was asked for under.
    pub idempotency: Option<IdempotencyRef>,
}

/// An order as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which product.
    pub product: ProductId,
    /// How many.
    pub count: u32,
}

/// The product of an order with one line, as far as a reply says more of it than the order does. Of an order
/// with several lines a reply says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SingleItem {
    /// The product's title.
    pub title: String,
    /// The count that can still be sold.
    pub remaining: u64,
}

impl SingleItem {
    /// The only product among what a hold found.
    pub fn of(holdings: &[Holding]) -> Self {
        match holdings {
            [Holding::Enough(held)] => SingleItem { title: held.title.clone(), remaining: held.available },
            _ => SingleItem::default(),
        }
    }
}

impl PaymentStatus {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            PaymentStatus::None => "none",
            PaymentStatus::Pending => "pending",
            PaymentStatus::Authorised => "authorised",
            PaymentStatus::Captured => "captured",
            PaymentStatus::CaptureFailed => "capture_failed",
            PaymentStatus::Refused => "refused",
            PaymentStatus::Voided => "voided",
        }
    }
}

impl Event {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Event::Pending => "pending",
            Event::Held => "held",
            Event::Authorised => "authorised",
            Event::Created => "created",
            Event::Refused => "refused",
            Event::Resumed => "resumed",
            Event::Claimed => "claimed",
            Event::Released => "released",
            Event::Captured => "captured",
            Event::CaptureFailed => "capture_failed",
            Event::Voided => "voided",
        }
    }
}

impl Status {
    /// Its name in answers.
    pub fn name(&self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Created => "created",
            Status::Refused(_) => "refused",
        }
    }
}

/// Adds the lines of one product together; the order is that of their first mention.
///
/// # Errors
/// [`Error::Refused`] when a sum passes `most`.
pub fn add_together(wanted: Vec<Wanted>, most: u32) -> Result<Vec<Wanted>> {
    let mut sums: Vec<Wanted> = Vec::with_capacity(wanted.len());
    for line in wanted {
        match sums.iter_mut().find(|sum| sum.product == line.product) {
            None => sums.push(line),
            Some(sum) => {
                sum.count = sum.count.checked_add(line.count).filter(|count| *count <= most).ok_or_else(|| {
                    Error::Refused(format!(
                        "items: the quantities of {} add up to more than {most}",
                        line.product.as_str()
                    ))
                })?;
            }
        }
    }
    Ok(sums)
}

impl Order {
    /// Where the request was routed to: the customer's hash, or without one the product's.
    pub fn home(&self) -> KeyHash {
        match (&self.customer, self.lines.first()) {
            (Some(customer), _) => customer.hash(),
            (None, Some(line)) => line.product.hash(),
            (None, None) => self.id.hash(),
        }
    }

    /// Notes a step.
    pub fn note(&mut self, event: Event, at: Timestamp) {
        self.steps.push(Step { event, at });
    }

    /// Whether it is neither created nor refused.
    pub fn is_pending(&self) -> bool {
        self.status == Status::Pending
    }

    /// Its entity tag.
    pub fn tag(&self) -> Tag {
        Tag::of_version(self.version)
    }

    /// What it costs, as far as prices are known.
    pub fn total(&self) -> Total {
        let priced = self.lines.iter().filter_map(|line| Some((line.price?, line.count)));
        priced.fold(Total::default(), |total, (price, count)| total.add(price, count))
    }

    /// Takes over prices from what holding found, in the order of the lines, and says what it costs.
    ///
    /// # Errors
    /// Why it is refused, all lines at fault named: what is unknown or has another price comes before
    /// the missing card, that before what is short.
    pub fn price(&mut self, holdings: &[Holding], has_card: bool) -> Result<Total> {
        let mut faults = Vec::new();
        let mut short = false;
        for (line, holding) in self.lines.iter_mut().zip(holdings) {
            let fault = line.take(holding, self.origin, self.accepts_price_changes)?;
            short |= matches!(fault, Some(Fault::OutOfStock { .. }));
            faults.extend(fault.map(|fault| LineAtFault { item: line.product.as_str().to_owned(), fault }));
        }
        let only_short = faults.iter().all(|line| matches!(line.fault, Fault::OutOfStock { .. }));
        let total = self.total();
        if only_short && total.hundredths() > 0 && !has_card && self.origin != Origin::Purchase {
            return Err(Error::PaymentRefused("payment: a card_number is needed".into()));
        }
        match (faults.is_empty(), short) {
            (true, _) => Ok(total),
            (false, _) => Err(self.refusal(faults)),
        }
    }

    /// Whether money is to be asked for.
    pub fn asks_payment(&self) -> bool {
        self.origin != Origin::Purchase && self.total().hundredths() > 0
    }

    fn refusal(&self, faults: Vec<LineAtFault>) -> Error {
        let unknown: Vec<_> =
            faults.iter().filter(|line| line.fault == Fault::UnknownProduct).map(|line| line.item.as_str()).collect();
        match self.origin {
            Origin::Purchase | Origin::Buy if !unknown.is_empty() => Error::NotFound("there is no such product".into()),
            Origin::Books if !unknown.is_empty() => {
                Error::Invalid(format!("items: unknown book {}", unknown.join(", ")))
            }
            _ => Error::LinesAtFault(LinesAtFault::new(faults)),
        }
    }
}

impl OrderLine {
    fn take(&mut self, holding: &Holding, origin: Origin, accepts_price_changes: bool) -> Result<Option<Fault>> {
        let (held, enough) = match holding {
            Holding::Enough(held) => (held, true),
            Holding::Short { product } => (product, false),
            Holding::Unknown => return Ok(Some(Fault::UnknownProduct)),
            Holding::Settled => {
                return Err(Error::Unavailable(
                    "the order was given up before its stock was held; nothing was applied".into(),
                ));
            }
        };
        if origin == Origin::Books && !held.has_isbn {
            return Ok(Some(Fault::UnknownProduct));
        }
        self.has_isbn = held.has_isbn;
        Ok(self
            .take_price(held, accepts_price_changes)
            .or((!enough).then_some(Fault::OutOfStock { available: held.available })))
    }

    fn take_price(&mut self, held: &Held, accepts_price_changes: bool) -> Option<Fault> {
        self.price = Some(match self.asked {
            Asked::Offer(price) => price,
            Asked::Catalogue | Asked::ExpiredOffer(_) => held.price,
        });
        match self.asked {
            Asked::ExpiredOffer(old) if old != held.price && !accepts_price_changes => {
                Some(Fault::SaleExpired { old_price: old.hundredths(), new_price: held.price.hundredths() })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Slot;

    fn money(hundredths: u64) -> Money {
        Money::from_hundredths(hundredths).unwrap()
    }

    fn line(id: &str, asked: Asked) -> OrderLine {
        OrderLine { product: ProductId::new(id).unwrap(), count: 2, asked, price: None, has_isbn: false }
    }

    fn order(origin: Origin, lines: Vec<OrderLine>) -> Order {
        Order {
            version: 1,
            id: OrderId::new(Slot(0), 0, 0),
            origin,
            customer: None,
            lines,
            status: Status::Pending,
            payment: OrderPayment { status: PaymentStatus::Pending, transaction: None, last_four: None },
            address: None,
            delivery: None,
            accepts_price_changes: false,
            steps: Vec::new(),
            idempotency: None,
        }
    }

    fn held(price: u64) -> Held {
        Held { price: money(price), has_isbn: true, available: 1, title: "T".into() }
    }

    #[test]
    fn the_price_is_the_one_that_was_agreed() {
        let lines = vec![
            line("a", Asked::Catalogue),
            line("b", Asked::Offer(money(5))),
            line("c", Asked::ExpiredOffer(money(7))),
        ];
        let holdings = [Holding::Enough(held(100)), Holding::Enough(held(200)), Holding::Enough(held(7))];
        let mut order = order(Origin::Checkout, lines);
        assert_eq!(order.price(&holdings, true).unwrap().hundredths(), 2 * (100 + 5 + 7));
        let dearer = [Holding::Enough(held(100)), Holding::Enough(held(200)), Holding::Enough(held(8))];
        let Err(Error::LinesAtFault(refused)) = order.price(&dearer, true) else { panic!("it was not refused") };
        let fault = Fault::SaleExpired { old_price: 7, new_price: 8 };
        assert_eq!(refused.lines, [LineAtFault { item: "c".into(), fault }]);
        order.accepts_price_changes = true;
        assert_eq!(order.price(&dearer, true).unwrap().hundredths(), 2 * (100 + 5 + 8));
    }

    #[test]
    fn refusals_come_in_their_order() {
        let refuse = |origin, holdings: &[Holding], has_card| {
            let lines = vec![line("a", Asked::Catalogue), line("b", Asked::Catalogue)];
            order(origin, lines).price(holdings, has_card).unwrap_err()
        };
        let short = || Holding::Short { product: held(100) };
        let enough = || Holding::Enough(held(100));
        assert!(matches!(refuse(Origin::Books, &[short(), Holding::Unknown], false), Error::Invalid(_)));
        assert!(matches!(refuse(Origin::Books, &[short(), enough()], false), Error::PaymentRefused(_)));
        assert!(matches!(refuse(Origin::Books, &[enough(), enough()], false), Error::PaymentRefused(_)));
        assert!(matches!(refuse(Origin::Books, &[short(), enough()], true), Error::LinesAtFault(_)));
        let Error::LinesAtFault(all) = refuse(Origin::Checkout, &[short(), Holding::Unknown], false) else { panic!() };
        assert_eq!(all.lines.len(), 2);
        assert!(matches!(refuse(Origin::Buy, &[Holding::Unknown, enough()], true), Error::NotFound(_)));
    }

    #[test]
    fn what_costs_nothing_needs_no_card() {
        let mut order = order(Origin::Books, vec![line("a", Asked::Catalogue)]);
        assert_eq!(order.price(&[Holding::Enough(held(0))], false).unwrap(), Total::default());
        assert!(!order.asks_payment());
    }

    #[test]
    fn lines_of_one_product_are_added_together() {
        let wanted = |id: &str, count| Wanted { product: ProductId::new(id).unwrap(), count };
        let sums = add_together(vec![wanted("a", 1), wanted("b", 2), wanted("a", 3)], 4).unwrap();
        assert_eq!(sums, [wanted("a", 4), wanted("b", 2)]);
        assert!(matches!(add_together(vec![wanted("a", 1), wanted("a", 4)], 4), Err(Error::Refused(_))));
    }
}
