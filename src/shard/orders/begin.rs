//! An order's first commit: what is wanted, written down with its idempotency key, and the cart that
//! it comes from pinned. An order that needs no other shard and no money is decided right here.

use uuid::Uuid;

use super::{decide, record};
use crate::domain::cart::Cart;
use crate::domain::order::{
    Asked, Event, Order, OrderLine, OrderPayment, Origin, PaymentStatus, Pledge, Status, Wanted,
};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::{Basket, Hold, PlaceOrder, Request};
use crate::routing::{CustomerId, OrderId};
use crate::shard::commands::{self, Done};
use crate::shard::writer::Writer;
use crate::shard::{products, reservations};
use crate::storage::RecordKind;
use crate::storage::codec;

/// The most open orders on one shard; past that orders are refused, nothing applied.
pub const MAX_OPEN_ORDERS: u64 = 10_000;

/// What came of an order's first commit.
pub enum Begun {
    /// It is decided.
    Done(Done),
    /// It is written down; its driver goes on with it.
    Open(OrderId),
}

/// Begins an order.
///
/// # Errors
/// Why it is refused; nothing was written then.
pub fn run(
    writer: &mut Writer,
    request: &Request,
    place: &PlaceOrder,
    pledge: Option<&Pledge>,
    now: Timestamp,
) -> Result<Begun> {
    if writer.state().count(RecordKind::OpenOrder) >= MAX_OPEN_ORDERS {
        return Err(Error::Unavailable("too many orders are open on this shard; nothing was applied".into()));
    }
    let mut order = write_down(writer, request, place, now)?;
    let is_ours = order.lines.iter().all(|line| writer.owns(line.product.hash()));
    if is_ours {
        let held = hold_here(writer, &mut order, place.card.is_some(), now)?;
        order.note(Event::Held, now);
        if !order.asks_payment() {
            order.payment.status = PaymentStatus::None;
            let outcome = decide::create_at_once(writer, &mut order, &held, now)?;
            return Ok(Begun::Done(Done { created: true, outcome }));
        }
    }
    order.pledge = pledge.cloned();
    if let Basket::Cart { customer, .. } = &place.basket {
        pin(writer, customer, order.id)?;
    }
    record::put_open(writer, &mut order);
    if let Some(pledge) = pledge {
        writer.note_in_flight(request.hash, pledge, now)?;
    }
    Ok(Begun::Open(order.id))
}

fn write_down(writer: &mut Writer, request: &Request, place: &PlaceOrder, now: Timestamp) -> Result<Order> {
    let line = |wanted: &Wanted| OrderLine {
        product: wanted.product.clone(),
        count: wanted.count,
        asked: Asked::Catalogue,
        price: None,
        has_isbn: false,
    };
    let (origin, customer, lines) = match &place.basket {
        Basket::Purchase(product) => {
            let current = products::find(writer, product)?;
            commands::check(request.if_match.as_ref(), current.map(|product| product.tag()))?;
            (Origin::Purchase, None, vec![line(&Wanted { product: product.clone(), count: 1 })])
        }
        Basket::Buy(wanted) => (Origin::Buy, None, vec![line(wanted)]),
        Basket::Books { customer, lines } => (Origin::Books, Some(customer.clone()), lines.iter().map(line).collect()),
        Basket::Cart { customer, .. } => {
            (Origin::Checkout, Some(customer.clone()), cart_lines(writer, request, customer, now)?)
        }
    };
    let (address, accepts_price_changes) = match &place.basket {
        Basket::Cart { address, accepts_price_changes, .. } => (address.clone(), *accepts_price_changes),
        _ => (None, false),
    };
    let millis = u64::try_from(now.micros() / 1_000).unwrap_or_default();
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
        pledge: None,
    };
    order.note(Event::Pending, now);
    Ok(order)
}

fn cart_lines(writer: &mut Writer, request: &Request, customer: &CustomerId, now: Timestamp) -> Result<Vec<OrderLine>> {
    let cart = commands::read_cart(writer, request, customer, now)?;
    if cart.pin.is_some() {
        return Err(Error::InFlight("the cart is being checked out".into()));
    }
    if cart.lines.is_empty() {
        return Err(Error::NotFound("the cart is empty".into()));
    }
    let lines = cart.lines.iter().map(|line| OrderLine {
        product: crate::routing::ProductId::from_stored(line.item.as_str()),
        count: line.count,
        asked: match line.offer.has_sale_expired(now) {
            true => Asked::ExpiredOffer(line.offer.price),
            false => Asked::Offer(line.offer.price),
        },
        price: None,
        has_isbn: false,
    });
    Ok(lines.collect())
}

fn pin(writer: &mut Writer, customer: &CustomerId, order: OrderId) -> Result<()> {
    let (hash, id) = (customer.hash(), customer.as_str().as_bytes());
    let record = writer.read(hash, RecordKind::Cart, id);
    let cart = record.map(codec::decode_cart).transpose()?.unwrap_or_default();
    writer.put(hash, RecordKind::Cart, id, &codec::encode_cart(&Cart { pin: Some(order), ..cart }));
    Ok(())
}

/// What an answer says of an order's only product.
#[derive(Debug, Clone, Default)]
pub struct Single {
    /// Its title.
    pub title: String,
    /// What can still be sold of it.
    pub remaining: u64,
}

/// Holds all lines, which are this shard's; nothing is held when the order is refused.
fn hold_here(writer: &mut Writer, order: &mut Order, has_card: bool, now: Timestamp) -> Result<Single> {
    let lines = order.lines.iter().map(|line| Wanted { product: line.product.clone(), count: line.count }).collect();
    let mut hold = Hold { order: order.id, lines, only_look: true };
    let found = reservations::hold(writer, &hold, now)?;
    order.price(&found, has_card)?;
    hold.only_look = false;
    Ok(decide::single(&reservations::hold(writer, &hold, now)?))
}
