//! Commands that shards send each other while they work on an order, and what they answer.

use super::effect::Effect;
use super::orders::{encode_item, items, order_id};
use super::owner::Owner;
use super::proto;
use crate::domain::cart::MAX_LINES;
use crate::domain::money::Money;
use crate::domain::order::Wanted;
use crate::domain::reservation::{Held, Holding, Ruling};
use crate::error::{Error, Result};
use crate::routing::{OrderId, ProductId};
use proto::holding::State;
use proto::request::Command as Message;

/// A command from one shard to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCommand {
    /// Holds stock for an order; all of it or none. Sent by the order's home.
    Hold(Hold),
    /// Claims or releases the stock that an order holds. Sent by the order's home.
    Settle(Settle),
    /// Asks an order's home for its decision. Sent by a product's shard.
    AskDecision(OrderId),
}

/// Stock to be held for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The order.
    pub order: OrderId,
    /// True when nothing is to be held.
    pub only_look: bool,
    lines: Vec<Wanted>,
}

/// The end of reservations of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// The order.
    pub order: OrderId,
    products: Vec<ProductId>,
    ruling: Ruling,
}

impl Hold {
    /// Stock of one shard's products, each named once. A quote (`only_look`) holds nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no line at all and for too many.
    pub fn new(order: OrderId, lines: Vec<Wanted>, only_look: bool) -> Result<Self> {
        if lines.is_empty() || lines.len() > MAX_LINES {
            return Err(Error::Invalid(format!("items: {} lines, must be 1 to {MAX_LINES}", lines.len())));
        }
        Ok(Hold { order, only_look, lines })
    }

    /// The products and their counts; at least one.
    pub fn lines(&self) -> &[Wanted] {
        &self.lines
    }
}

impl Settle {
    /// The end of an order's reservations of one shard's products.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no product at all, for too many, and for [`Ruling::Keep`].
    pub fn new(order: OrderId, products: Vec<ProductId>, ruling: Ruling) -> Result<Self> {
        if products.is_empty() || products.len() > MAX_LINES {
            return Err(Error::Invalid(format!("products: must be 1 to {MAX_LINES}")));
        }
        if ruling == Ruling::Keep {
            return Err(Error::Invalid("ruling: must be to claim or to release".into()));
        }
        Ok(Settle { order, products, ruling })
    }

    /// The products; at least one.
    pub fn products(&self) -> &[ProductId] {
        &self.products
    }

    /// [`Ruling::Claim`] or [`Ruling::Release`].
    pub fn ruling(&self) -> Ruling {
        self.ruling
    }
}

impl PeerCommand {
    pub(super) fn owner(&self) -> Owner<'_> {
        match self {
            PeerCommand::Hold(hold) => {
                Owner::Product(&hold.lines.first().expect("Hold::new refuses an empty list").product)
            }
            PeerCommand::Settle(settle) => {
                Owner::Product(settle.products.first().expect("Settle::new refuses an empty list"))
            }
            PeerCommand::AskDecision(order) => Owner::Order(*order),
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            PeerCommand::Hold(_) | PeerCommand::Settle(_) => Effect::Idempotent,
            PeerCommand::AskDecision(_) => Effect::Read,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            PeerCommand::Hold(_) => "peer.hold",
            PeerCommand::Settle(_) => "peer.settle",
            PeerCommand::AskDecision(_) => "peer.ask_decision",
        }
    }

    pub(super) fn encode(&self) -> Message {
        match self {
            PeerCommand::Hold(hold) => Message::Hold(proto::Hold {
                order: hold.order.as_bytes().to_vec(),
                lines: hold.lines.iter().map(encode_item).collect(),
                only_look: hold.only_look,
            }),
            PeerCommand::Settle(settle) => Message::Settle(proto::Settle {
                order: settle.order.as_bytes().to_vec(),
                products: settle.products.iter().map(|product| product.as_str().to_owned()).collect(),
                ruling: encode_ruling(settle.ruling).into(),
            }),
            PeerCommand::AskDecision(order) => Message::Rule(proto::Rule { order: order.as_bytes().to_vec() }),
        }
    }
}

pub(super) fn hold(message: proto::Hold) -> Result<Hold> {
    let order = order_id(&message.order)?;
    Hold::new(order, items(message.lines, MAX_LINES)?, message.only_look)
}

pub(super) fn settle(message: proto::Settle) -> Result<Settle> {
    let ruling = decode_ruling(message.ruling)?;
    let products = message.products.into_iter().map(ProductId::new).collect::<Result<_>>()?;
    Settle::new(order_id(&message.order)?, products, ruling)
}

pub(super) fn encode_ruling(ruling: Ruling) -> proto::Ruling {
    match ruling {
        Ruling::Keep => proto::Ruling::Keep,
        Ruling::Claim => proto::Ruling::Claim,
        Ruling::Release => proto::Ruling::Release,
    }
}

pub(super) fn decode_ruling(number: i32) -> Result<Ruling> {
    match proto::Ruling::try_from(number) {
        Ok(proto::Ruling::Keep) => Ok(Ruling::Keep),
        Ok(proto::Ruling::Claim) => Ok(Ruling::Claim),
        Ok(proto::Ruling::Release) => Ok(Ruling::Release),
        Err(_) => Err(Error::Invalid("ruling: is not known to this release".into())),
    }
}

pub(super) fn encode_holding(holding: &Holding) -> proto::Holding {
    let (state, held) = match holding {
        Holding::Unknown => (State::Unknown, None),
        Holding::Settled => (State::Settled, None),
        Holding::Enough(held) => (State::Enough, Some(held)),
        Holding::Short { product } => (State::Short, Some(product)),
    };
    let encoded = held.map(|held| proto::Holding {
        state: state.into(),
        price: held.price.hundredths(),
        has_isbn: held.has_isbn,
        available: held.available,
        title: held.title.clone(),
    });
    encoded.unwrap_or(proto::Holding { state: state.into(), ..proto::Holding::default() })
}

pub(super) fn decode_holding(message: proto::Holding) -> Result<Holding> {
    let state = State::try_from(message.state);
    let state = state.map_err(|_| Error::Invalid("holding: is not known to this release".into()))?;
    let held = || {
        let price = Money::from_hundredths(message.price)?;
        Ok(Held { price, has_isbn: message.has_isbn, available: message.available, title: message.title })
    };
    Ok(match state {
        State::Unknown => Holding::Unknown,
        State::Settled => Holding::Settled,
        State::Enough => Holding::Enough(held()?),
        State::Short => Holding::Short { product: held()? },
    })
}
