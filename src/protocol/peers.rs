//! Commands that shards send each other while they work on an order, and the bodies of their replies.

use super::effect::Effect;
use super::orders::{encode_item, items, order_id};
use super::owner::Owner;
use super::products::quantity;
use super::proto;
use crate::domain::cart::MAX_LINES;
use crate::domain::money::Money;
use crate::domain::order::OrderedItem;
use crate::domain::reservation::{Decision, HoldMode, HoldResult, Quote, ReturnedLine, Settlement};
use crate::error::{Error, Invalid, Result};
use crate::routing::{OrderId, ProductId};
use proto::holding::State;
use proto::request::Command as Message;

/// A command from one shard to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCommand {
    /// Holds stock for an order, all of it or none. Sent by the order's home.
    Hold(Hold),
    /// Claims or releases the stock that an order holds. Sent by the order's home.
    Settle(Settle),
    /// Asks an order's home for its decision. Sent by a product's shard.
    AskDecision(OrderId),
    /// Takes the stock of a cancelled order back. Sent by the order's home.
    Return(ReturnStock),
}

/// The stock of a cancelled order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnStock {
    /// The order.
    pub order: OrderId,
    lines: Vec<ReturnedLine>,
}

impl ReturnStock {
    /// Makes a return of products that one shard owns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no line and for too many.
    pub fn new(order: OrderId, lines: Vec<ReturnedLine>) -> Result<Self> {
        if lines.is_empty() || lines.len() > MAX_LINES {
            return Err(Error::invalid("lines", format!("must be 1 to {MAX_LINES}")));
        }
        Ok(ReturnStock { order, lines })
    }

    /// The products and their counts; at least one.
    pub fn lines(&self) -> &[ReturnedLine] {
        &self.lines
    }
}

/// Stock to be held for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The order.
    pub order: OrderId,
    /// The mode: to hold, or only to quote.
    pub mode: HoldMode,
    lines: Vec<OrderedItem>,
}

/// The settlement of an order's reservations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// The order.
    pub order: OrderId,
    products: Vec<ProductId>,
    settlement: Settlement,
}

impl Hold {
    /// Makes a hold of products that one shard owns, each named once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no line and for too many.
    pub fn new(order: OrderId, lines: Vec<OrderedItem>, mode: HoldMode) -> Result<Self> {
        if lines.is_empty() || lines.len() > MAX_LINES {
            return Err(Error::invalid("items", format!("{} lines, must be 1 to {MAX_LINES}", lines.len())));
        }
        Ok(Hold { order, mode, lines })
    }

    /// The products and their counts; at least one.
    pub fn lines(&self) -> &[OrderedItem] {
        &self.lines
    }
}

impl Settle {
    /// Makes a settlement of products that one shard owns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no product and for too many.
    pub fn new(order: OrderId, products: Vec<ProductId>, settlement: Settlement) -> Result<Self> {
        if products.is_empty() || products.len() > MAX_LINES {
            return Err(Error::invalid("products", format!("must be 1 to {MAX_LINES}")));
        }
        Ok(Settle { order, products, settlement })
    }

    /// The products; at least one.
    pub fn products(&self) -> &[ProductId] {
        &self.products
    }

    /// The settlement.
    pub fn settlement(&self) -> Settlement {
        self.settlement
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
            PeerCommand::Return(returned) => {
                Owner::Product(&returned.lines.first().expect("ReturnStock::new refuses an empty list").product)
            }
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            PeerCommand::Hold(_) | PeerCommand::Settle(_) | PeerCommand::Return(_) => Effect::Idempotent,
            PeerCommand::AskDecision(_) => Effect::Read,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            PeerCommand::Hold(_) => "peer.hold",
            PeerCommand::Settle(_) => "peer.settle",
            PeerCommand::AskDecision(_) => "peer.ask_decision",
            PeerCommand::Return(_) => "peer.return",
        }
    }

    pub(super) fn encode(&self) -> Message {
        match self {
            PeerCommand::Hold(hold) => Message::Hold(proto::Hold {
                order: hold.order.as_bytes().to_vec(),
                lines: hold.lines.iter().map(encode_item).collect(),
                only_look: hold.mode == HoldMode::Quote,
            }),
            PeerCommand::Settle(settle) => Message::Settle(proto::Settle {
                order: settle.order.as_bytes().to_vec(),
                products: settle.products.iter().map(|product| product.as_str().to_owned()).collect(),
                ruling: encode_settlement(settle.settlement).into(),
            }),
            PeerCommand::AskDecision(order) => Message::Rule(proto::Rule { order: order.as_bytes().to_vec() }),
            PeerCommand::Return(returned) => Message::ReturnStock(proto::ReturnStock {
                order: returned.order.as_bytes().to_vec(),
                lines: returned.lines.iter().map(encode_returned).collect(),
            }),
        }
    }
}

pub(super) fn hold(message: proto::Hold) -> Result<Hold> {
    let order = order_id(&message.order)?;
    let mode = if message.only_look { HoldMode::Quote } else { HoldMode::Hold };
    Hold::new(order, items(message.lines, MAX_LINES)?, mode)
}

pub(super) fn settle(message: proto::Settle) -> Result<Settle> {
    let settlement = decode_decision(message.ruling)?.settlement();
    let settlement = settlement.ok_or_else(|| Error::invalid("ruling", "must be to claim or to release"))?;
    let products = message.products.into_iter().map(ProductId::new).collect::<Result<_, _>>()?;
    Settle::new(order_id(&message.order)?, products, settlement)
}

fn encode_returned(line: &ReturnedLine) -> proto::return_stock::Line {
    let ReturnedLine { product, incarnation, count } = line;
    proto::return_stock::Line { product: product.as_str().to_owned(), count: *count, incarnation: *incarnation }
}

pub(super) fn return_stock(message: proto::ReturnStock) -> Result<ReturnStock> {
    let line = |line: proto::return_stock::Line| {
        let count = quantity(line.count)?;
        Ok::<_, Error>(ReturnedLine { product: ProductId::new(line.product)?, incarnation: line.incarnation, count })
    };
    let lines = message.lines.into_iter().map(line).collect::<Result<_>>()?;
    ReturnStock::new(order_id(&message.order)?, lines)
}

fn encode_settlement(settlement: Settlement) -> proto::Ruling {
    match settlement {
        Settlement::Claim => proto::Ruling::Claim,
        Settlement::Release => proto::Ruling::Release,
    }
}

pub(super) fn encode_decision(decision: Decision) -> proto::Ruling {
    match decision {
        Decision::Undecided => proto::Ruling::Keep,
        Decision::Created => proto::Ruling::Claim,
        Decision::Refused => proto::Ruling::Release,
        Decision::Cancelled => proto::Ruling::Return,
        Decision::CancelledAndClosed => proto::Ruling::ReturnClosed,
    }
}

pub(super) fn decode_decision(number: i32) -> Result<Decision> {
    match proto::Ruling::try_from(number) {
        Ok(proto::Ruling::Keep) => Ok(Decision::Undecided),
        Ok(proto::Ruling::Claim) => Ok(Decision::Created),
        Ok(proto::Ruling::Release) => Ok(Decision::Refused),
        Ok(proto::Ruling::Return) => Ok(Decision::Cancelled),
        Ok(proto::Ruling::ReturnClosed) => Ok(Decision::CancelledAndClosed),
        Err(_) => Err(Error::invalid("ruling", "is not known to this release")),
    }
}

pub(super) fn encode_hold_result(result: &HoldResult) -> proto::Holding {
    let (state, quote) = match result {
        HoldResult::UnknownProduct => (State::Unknown, None),
        HoldResult::AlreadySettled => (State::Settled, None),
        HoldResult::Held(quote) => (State::Enough, Some(quote)),
        HoldResult::Short(quote) => (State::Short, Some(quote)),
    };
    let encoded = quote.map(|quote| proto::Holding {
        state: state.into(),
        price: quote.price.hundredths(),
        has_isbn: quote.has_isbn,
        available: quote.available,
        held: quote.held,
        title: quote.title.clone(),
        incarnation: quote.incarnation.unwrap_or(0),
    });
    encoded.unwrap_or(proto::Holding { state: state.into(), ..proto::Holding::default() })
}

pub(super) fn decode_hold_result(message: proto::Holding) -> Result<HoldResult> {
    let state = State::try_from(message.state);
    let state = state.map_err(|_| Error::invalid("holding", "is not known to this release"))?;
    let quote = || {
        let price = Money::from_hundredths(message.price)?;
        Ok::<_, Invalid>(Quote {
            price,
            has_isbn: message.has_isbn,
            available: message.available,
            held: message.held,
            title: message.title,
            incarnation: Some(message.incarnation).filter(|incarnation| *incarnation > 0),
        })
    };
    Ok(match state {
        State::Unknown => HoldResult::UnknownProduct,
        State::Settled => HoldResult::AlreadySettled,
        State::Enough => HoldResult::Held(quote()?),
        State::Short => HoldResult::Short(quote()?),
    })
}
