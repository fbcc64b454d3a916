//! The first commit of an order: stores it with its idempotency key, and marks the cart that it checks out. An order
//! that needs neither another shard nor a payment is decided in this commit.

use uuid::Uuid;

use super::decide;
use crate::domain::card::Card;
use crate::domain::order::{
    AgreedPrice, Facts, IdempotencyRef, NewOrder, Order, OrderLine, OrderedItem, Origin, Recorded, Reserved, SingleItem,
};
use crate::domain::reservation::{HoldMode, HoldResult};
use crate::domain::tag::Condition;
use crate::error::{Error, Result};
use crate::protocol::{Basket, CommandOutput, Hold, PlaceOrder, Request};
use crate::routing::{OrderId, ProductId};
use crate::shard::engine::{GaugeGuard, Transaction};
use crate::shard::records::{carts, idempotency, orders, products, reservations};

/// The most orders with a card of a shard whose customers wait for the decision. With those without one it is less than a
/// session has room for, so that carts and keys have room beside orders.
const MAX_WAITING: usize = 2_048;
/// The most orders without a card whose customers wait. They have room of their own, since no gateway holds them up.
const MAX_WAITING_WITHOUT_CARD: usize = 512;

/// The result of an order's first commit.
pub enum Begun {
    /// The order is decided.
    Decided(CommandOutput),
    /// The order is stored, and its driver continues.
    Placed(WaitingOrder),
}

/// An order whose customer waits for the decision.
#[derive(Debug)]
pub struct WaitingOrder {
    /// The order.
    pub id: OrderId,
    /// The card that pays for it. Only the driver keeps it, in memory.
    pub card: Option<Card>,
    /// Counts it for as long as the customer waits.
    pub counted: GaugeGuard,
}

/// Begins an order.
///
/// # Errors
/// The reason why it is refused; nothing is written then.
pub fn run(
    txn: &mut Transaction<'_>,
    request: &Request,
    place: &PlaceOrder,
    key: Option<&IdempotencyRef>,
) -> Result<Begun> {
    let order = Order::place(new_order(txn, request, place, key)?, txn.now());
    if !order.lines.iter().all(|line| txn.owns(line.product.hash())) {
        check_capacity(txn, place)?;
        return write_down(txn, request, place, order);
    }
    // The quote comes before the hold, so that an order that is refused has written nothing.
    let found = hold(txn, &order, HoldMode::Quote)?;
    match order.hold(&found, txn.now()).map_err(|unreserved| unreserved.error)? {
        Reserved::Free(order) => {
            let item = SingleItem::of(&hold(txn, &order, HoldMode::Hold)?);
            let order = decide::create_at_once(txn, order)?;
            Ok(Begun::Decided(CommandOutput::order(&order, &item).with_created(true)))
        }
        Reserved::Due(order) => {
            check_capacity(txn, place)?;
            hold(txn, &order, HoldMode::Hold)?;
            write_down(txn, request, place, order)
        }
    }
}

/// Makes the requested order without writing it.
fn new_order(
    txn: &mut Transaction<'_>,
    request: &Request,
    place: &PlaceOrder,
    key: Option<&IdempotencyRef>,
) -> Result<NewOrder> {
    let line = |item: OrderedItem| OrderLine::new(item, AgreedPrice::Catalog);
    let (origin, customer, lines) = match &place.basket {
        Basket::Purchase(product) => {
            check_product(txn, request, product)?;
            (Origin::Purchase, None, vec![line(OrderedItem { product: product.clone(), count: 1 })])
        }
        Basket::Buy(item) => {
            check_product(txn, request, &item.product)?;
            (Origin::Buy, None, vec![line(item.clone())])
        }
        Basket::Books { customer, lines } => {
            (Origin::Books, Some(customer.clone()), lines.iter().cloned().map(line).collect())
        }
        Basket::Cart { customer, .. } => {
            (Origin::Checkout, Some(customer.clone()), carts::order_lines(txn, request, customer)?)
        }
    };
    let (address, accepts_price_changes) = match &place.basket {
        Basket::Cart { address, accepts_price_changes, .. } => (address.clone(), *accepts_price_changes),
        Basket::Purchase(_) | Basket::Buy(_) | Basket::Books { .. } => (None, false),
    };
    let millis = u64::try_from(txn.now().micros() / 1_000).unwrap_or_default();
    Ok(NewOrder {
        id: OrderId::new(request.hash.slot(), millis, Uuid::new_v4().as_u128()),
        origin,
        customer,
        lines,
        address,
        accepts_price_changes,
        card: place.card.as_ref().map(|card| card.number.last_four()),
        idempotency: key.cloned(),
    })
}

/// Checks the condition of an order of one product, whose shard this is.
fn check_product(txn: &mut Transaction<'_>, request: &Request, product: &ProductId) -> Result<()> {
    let Some(condition) = &request.if_match else { return Ok(()) };
    let current = products::find(txn, product)?;
    Condition::check(Some(condition), current.map(|product| product.tag()))
}

/// Holds or quotes all lines, whose products are all on this shard.
fn hold(txn: &mut Transaction<'_>, order: &Facts, mode: HoldMode) -> Result<Vec<HoldResult>> {
    let lines = order.lines.iter().map(OrderLine::item).collect();
    reservations::hold(txn, &Hold::new(order.id, lines, mode)?)
}

/// Refuses an order that would stay open while too many do.
fn check_capacity(txn: &Transaction<'_>, place: &PlaceOrder) -> Result<()> {
    orders::check_capacity(txn)?;
    let counts = &txn.indexes().orders;
    let most = if place.card.is_some() { MAX_WAITING } else { MAX_WAITING_WITHOUT_CARD };
    if counts.waiting(place.card.is_some()).count() >= most {
        return Err(Error::Unavailable("too many orders wait for their decision; nothing was applied".into()));
    }
    if place.card.is_some() && counts.unresolved.count() >= counts.most_unresolved {
        let text = "the payment gateway has not answered about too many orders; nothing was applied";
        return Err(Error::Unavailable(text.into()));
    }
    Ok(())
}

fn write_down<S>(txn: &mut Transaction<'_>, request: &Request, place: &PlaceOrder, mut order: Order<S>) -> Result<Begun>
where
    Order<S>: Recorded,
{
    if let Basket::Cart { customer, .. } = &place.basket {
        carts::mark_checkout(txn, customer, order.id)?;
    }
    orders::put_open(txn, &mut order);
    if let Some(key) = &order.idempotency {
        idempotency::mark_in_flight(txn, idempotency::scope(request), key);
    }
    let counted = txn.indexes().orders.waiting(place.card.is_some()).enter();
    Ok(Begun::Placed(WaitingOrder { id: order.id, card: place.card.clone(), counted }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::card::Card;
    use crate::domain::money::Money;
    use crate::domain::product::{Details, Product};
    use crate::domain::time::Timestamp;
    use crate::protocol::{Command, OrderCommand};
    use crate::routing::{KeyHash, SLOTS};
    use crate::shard::engine::{Resident, Writer};
    use crate::storage::{MemoryStorage, RecordKey, RecordKind};

    /// A shard with products "free" and "dear".
    fn shard() -> Writer {
        let mut writer = Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS - 1);
        for (id, price) in [("free", 0), ("dear", 100)] {
            let price = Money::from_hundredths(price).unwrap();
            let details = Details { title: "T".into(), author: None, topic: None, has_isbn: false, price };
            let mut txn = Transaction::begin(&mut writer, Timestamp::default());
            let incarnation = txn.next_version();
            let id = ProductId::new(id).unwrap();
            products::put(&mut txn, &id, None, &mut Product::new(details, 10_000_000, incarnation));
        }
        writer
    }

    /// The error of an order, if it is refused.
    fn refusal(writer: &mut Writer, product: &str) -> Option<String> {
        let item = OrderedItem { product: ProductId::new(product).unwrap(), count: 1 };
        let card = Card::new("4242424242424242", None).unwrap();
        let place = PlaceOrder { basket: Basket::Buy(item), card: Some(card) };
        let request = Request::new(Command::Order(OrderCommand::Place(place.clone())));
        let mut txn = Transaction::begin(writer, Timestamp::default());
        run(&mut txn, &request, &place, None).err().map(|error| error.to_string())
    }

    fn is_refused_for(writer: &mut Writer, why: &str) {
        let refused = refusal(writer, "dear").unwrap_or_default();
        assert!(refused.contains(why) && refused.contains("nothing was applied"), "{refused}");
        assert_eq!(refusal(writer, "free"), None, "an order that is decided at once leaves nothing open");
    }

    #[test]
    fn open_orders_are_limited() {
        let mut writer = shard();
        let open = |writer: &mut Writer, number: u64| {
            let id = number.to_be_bytes();
            let key = RecordKey { hash: KeyHash::from_bits(number), kind: RecordKind::OpenOrder, id: &id };
            Transaction::begin(writer, Timestamp::default()).put(key, b"an order");
        };
        (1..orders::MAX_OPEN_ORDERS).for_each(|number| open(&mut writer, number));
        assert_eq!(refusal(&mut writer, "dear"), None);
        is_refused_for(&mut writer, "too many orders are open");
    }

    #[test]
    fn orders_that_wait_or_are_undecided_are_limited() {
        let mut writer = shard();
        let counts = writer.indexes().orders.clone();
        let mut waiting: Vec<_> = (1..MAX_WAITING).map(|_| counts.waiting(true).enter()).collect();
        assert_eq!(refusal(&mut writer, "dear"), None);
        waiting.push(counts.waiting(true).enter());
        is_refused_for(&mut writer, "too many orders wait");
        // Those without a card have room of their own.
        let place = PlaceOrder { basket: Basket::Purchase(ProductId::new("dear").unwrap()), card: None };
        let mut check = || check_capacity(&Transaction::begin(&mut writer, Timestamp::default()), &place).is_ok();
        assert!(check());
        let _others: Vec<_> = (0..MAX_WAITING_WITHOUT_CARD).map(|_| counts.waiting(false).enter()).collect();
        assert!(!check());
        drop(waiting);
        let _unresolved: Vec<_> = (0..counts.most_unresolved).map(|_| counts.unresolved.enter()).collect();
        is_refused_for(&mut writer, "has not answered about too many orders");
    }
}
