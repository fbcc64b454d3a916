//! Commands on an order, and the description of an order to be created.

use std::fmt;
use std::mem::take;

use zeroize::Zeroize as _;

use super::effect::Effect;
use super::owner::Owner;
use super::products::quantity;
use super::proto;
use crate::domain::card::Card;
use crate::domain::delivery::check_address;
use crate::domain::order::{MAX_ORDER_LINES, OrderedItem};
use crate::error::{Error, Invalid, Result};
use crate::routing::{CustomerId, OrderId, ProductId};
use proto::place_order::Basket as BasketMessage;
use proto::request::Command as Message;

/// A command on one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderCommand {
    /// Creates an order.
    Place(PlaceOrder),
    /// Reads an order.
    Get(OrderId),
    /// Cancels an order.
    Cancel(OrderId),
}

/// An order to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// The items.
    pub basket: Basket,
    /// The card, which only the call to the payment gateway uses.
    pub card: Option<Card>,
}

/// The items of an order to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basket {
    /// One copy of a product, without payment.
    Purchase(ProductId),
    /// Copies of one product.
    Buy(OrderedItem),
    /// Books for a customer.
    Books {
        /// The customer.
        customer: CustomerId,
        /// The lines; each product once.
        lines: Vec<OrderedItem>,
    },
    /// All items of a customer's cart.
    Cart {
        /// The customer.
        customer: CustomerId,
        /// The postal address, when a delivery is wanted.
        address: Option<String>,
        /// True when the customer accepts the catalog price where a sale has ended.
        accepts_price_changes: bool,
    },
}

impl OrderCommand {
    pub(super) fn owner(&self) -> Owner<'_> {
        match self {
            OrderCommand::Place(place) => match &place.basket {
                Basket::Purchase(product) | Basket::Buy(OrderedItem { product, .. }) => Owner::Product(product),
                Basket::Books { customer, .. } | Basket::Cart { customer, .. } => Owner::Customer(customer),
            },
            OrderCommand::Get(order) | OrderCommand::Cancel(order) => Owner::Order(*order),
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            OrderCommand::Place(_) | OrderCommand::Cancel(_) => Effect::Once,
            OrderCommand::Get(_) => Effect::Read,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            OrderCommand::Place(_) => "order.place",
            OrderCommand::Get(_) => "order.get",
            OrderCommand::Cancel(_) => "order.cancel",
        }
    }

    pub(super) fn encode(&self) -> Message {
        match self {
            OrderCommand::Place(place) => Message::PlaceOrder(encode_place(place)),
            OrderCommand::Get(order) => Message::GetOrder(proto::GetOrder { order: order.as_bytes().to_vec() }),
            OrderCommand::Cancel(order) => {
                Message::CancelOrder(proto::CancelOrder { order: order.as_bytes().to_vec() })
            }
        }
    }
}

fn encode_place(place: &PlaceOrder) -> proto::PlaceOrder {
    let basket = match &place.basket {
        Basket::Purchase(product) => BasketMessage::Purchase(product.as_str().to_owned()),
        Basket::Buy(item) => BasketMessage::Buy(encode_item(item)),
        Basket::Books { customer, lines } => BasketMessage::Books(proto::place_order::Books {
            customer: customer.as_str().to_owned(),
            lines: lines.iter().map(encode_item).collect(),
        }),
        Basket::Cart { customer, address, accepts_price_changes } => BasketMessage::Cart(proto::place_order::Cart {
            customer: customer.as_str().to_owned(),
            address: address.clone(),
            accepts_price_changes: *accepts_price_changes,
        }),
    };
    let card = place.card.as_ref();
    let card = card.map(|card| proto::Card {
        number: card.number.reveal().to_owned(),
        expiry: card.expiry.clone(),
        sealed_number: None,
    });
    proto::PlaceOrder { basket: Some(basket), card }
}

pub(super) fn place(message: proto::PlaceOrder) -> Result<PlaceOrder> {
    let basket = match message.basket {
        Some(BasketMessage::Purchase(product)) => Basket::Purchase(ProductId::new(product)?),
        Some(BasketMessage::Buy(line)) => Basket::Buy(item(line)?),
        Some(BasketMessage::Books(books)) => {
            Basket::Books { customer: CustomerId::new(books.customer)?, lines: items(books.lines, MAX_ORDER_LINES)? }
        }
        Some(BasketMessage::Cart(cart)) => {
            cart.address.as_deref().map_or(Ok(()), check_address)?;
            Basket::Cart {
                customer: CustomerId::new(cart.customer)?,
                address: cart.address,
                accepts_price_changes: cart.accepts_price_changes,
            }
        }
        None => return Err(Invalid::general("the order holds nothing").into()),
    };
    let card = message.card.map(|mut card| Card::new(take(&mut card.number), take(&mut card.expiry))).transpose()?;
    Ok(PlaceOrder { basket, card })
}

pub(super) fn encode_item(item: &OrderedItem) -> proto::Line {
    proto::Line { product: item.product.as_str().to_owned(), count: item.count }
}

fn item(line: proto::Line) -> Result<OrderedItem> {
    let count = quantity(line.count)?;
    Ok(OrderedItem { product: ProductId::new(line.product)?, count })
}

pub(super) fn items(lines: Vec<proto::Line>, most: usize) -> Result<Vec<OrderedItem>> {
    if lines.is_empty() || lines.len() > most {
        return Err(Error::invalid("items", format!("{} lines, must be 1 to {most}", lines.len())));
    }
    lines.into_iter().map(item).collect()
}

pub(super) fn order_id(bytes: &[u8]) -> Result<OrderId> {
    let id = bytes.try_into().ok().and_then(OrderId::from_bytes);
    id.ok_or_else(|| Error::invalid("order", "is no order's id"))
}

/// Reduces a card to the part that a fingerprint may cover: the last four characters of its number.
pub(super) fn mask(card: &mut proto::Card) {
    let shown = card.number.len().saturating_sub(4);
    let last = card.number.get(shown..).unwrap_or_default().to_owned();
    card.number.zeroize();
    card.number = last;
}

/// Overwrites the number.
impl Drop for proto::Card {
    fn drop(&mut self) {
        self.number.zeroize();
    }
}

/// Hides the number. `build.rs` suppresses the generated `Debug` of this message.
impl fmt::Debug for proto::Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").finish_non_exhaustive()
    }
}
