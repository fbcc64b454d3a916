//! The first commit of an order: writes it down with its idempotency key, and marks the cart that it checks out. An
//! order that needs neither another shard nor money is decided right here.

use uuid::Uuid;

use super::decide;
use crate::domain::card::Card;
use crate::domain::order::{
    Asked, Event, IdempotencyRef, Order, OrderLine, OrderPayment, Origin, PaymentStatus, SingleItem, Status, Wanted,
};
use crate::domain::tag::Condition;
use crate::error::Result;
use crate::protocol::{Basket, CommandOutput, Hold, PlaceOrder, Request};
use crate::routing::OrderId;
use crate::shard::engine::Transaction;
use crate::shard::records::{carts, idempotency, orders, products, reservations};

/// The result of an order's first commit.
pub enum Begun {
    /// The order is decided.
    Decided(CommandOutput),
    /// The order is written down; its driver goes on with it.
    Placed {
        /// The order.
        order: OrderId,
        /// The card that pays for it; nothing but the driver's memory keeps it.
        card: Option<Card>,
    },
}

/// Begins an order.
///
/// # Errors
/// The reason why it is refused; nothing was written then.
pub fn run(
    txn: &mut Transaction<'_>,
    request: &Request,
    place: &PlaceOrder,
    key: Option<&IdempotencyRef>,
) -> Result<Begun> {
    orders::check_capacity(txn)?;
    let mut order = self::place(txn, request, place)?;
    let is_local = order.lines.iter().all(|line| txn.owns(line.product.hash()));
    if is_local {
        let item = hold_here(txn, &mut order, place.card.is_some())?;
        order.note(Event::Held, txn.now());
        if !order.asks_payment() {
            order.payment.status = PaymentStatus::None;
            decide::create_at_once(txn, &mut order)?;
            return Ok(Begun::Decided(CommandOutput::order(&order, &item).with_created(true)));
        }
    }
    order.idempotency = key.cloned();
    if let Basket::Cart { customer, .. } = &place.basket {
        carts::mark_checkout(txn, customer, order.id)?;
    }
    orders::put_open(txn, &mut order);
    if let Some(key) = key {
        idempotency::mark_in_flight(txn, request.hash, key);
    }
    Ok(Begun::Placed { order: order.id, card: place.card.clone() })
}

/// Makes the order that is asked for; nothing is written yet.
fn place(txn: &mut Transaction<'_>, request: &Request, place: &PlaceOrder) -> Result<Order> {
    let line = |wanted: &Wanted| OrderLine {
        product: wanted.product.clone(),
        count: wanted.count,
        asked: Asked::Catalogue,
        price: None,
        has_isbn: false,
    };
    let (origin, customer, lines) = match &place.basket {
        Basket::Purchase(product) => {
            let current = products::find(txn, product)?;
            Condition::check(request.if_match.as_ref(), current.map(|product| product.tag()))?;
            (Origin::Purchase, None, vec![line(&Wanted { product: product.clone(), count: 1 })])
        }
        Basket::Buy(wanted) => (Origin::Buy, None, vec![line(wanted)]),
        Basket::Books { customer, lines } => (Origin::Books, Some(customer.clone()), lines.iter().map(line).collect()),
        Basket::Cart { customer, .. } => {
            (Origin::Checkout, Some(customer.clone()), carts::order_lines(txn, request, customer)?)
        }
    };
    let (address, accepts_price_changes) = match &place.basket {
        Basket::Cart { address, accepts_price_changes, .. } => (address.clone(), *accepts_price_changes),
        Basket::Purchase(_) | Basket::Buy(_) | Basket::Books { .. } => (None, false),
    };
    let millis = u64::try_from(txn.now().micros() / 1_000).unwrap_or_default();
    let mut order = Order {
        version: 0,
        id: OrderId::new(request.hash.slot(), millis, Uuid::new_v4().as_u128()),
        origin,
        customer,
        lines,
        status: Status::Pending,
        payment: OrderPayment {
            status: if place.card.is_some() { PaymentStatus::Pending } else { PaymentStatus::None },
            transaction: None,
            last_four: place.card.as_ref().map(|card| card.number.last_four()),
        },
        address,
        delivery: None,
        accepts_price_changes,
        steps: Vec::new(),
        idempotency: None,
    };
    order.note(Event::Pending, txn.now());
    Ok(order)
}

/// Holds all lines, which are this shard's. Prices are checked before any stock is taken, so an order that is
/// refused holds nothing.
fn hold_here(txn: &mut Transaction<'_>, order: &mut Order, has_card: bool) -> Result<SingleItem> {
    let lines = order.lines.iter().map(|line| Wanted { product: line.product.clone(), count: line.count }).collect();
    let mut hold = Hold::new(order.id, lines, true)?;
    let found = reservations::hold(txn, &hold)?;
    order.price(&found, has_card)?;
    hold.only_look = false;
    Ok(SingleItem::of(&reservations::hold(txn, &hold)?))
}
