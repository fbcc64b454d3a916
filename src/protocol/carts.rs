//! Commands on a customer's cart.

use super::effect::Effect;
use super::proto;
use crate::domain::cart::{MAX_COUNT, Offer};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::routing::{CustomerId, ItemId};
use proto::request::Command as Message;

/// A command on one customer's cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CartCommand {
    /// Reads the cart.
    Get,
    /// Adds an item, or adds to its count.
    AddLine {
        /// The item.
        item: ItemId,
        /// The terms.
        offer: Offer,
        /// The count.
        count: u32,
    },
    /// Sets the count of a line; 0 removes the line.
    SetCount {
        /// The item.
        item: ItemId,
        /// The count.
        count: u32,
    },
    /// Removes a line.
    RemoveLine {
        /// The item.
        item: ItemId,
    },
    /// Empties the cart. The reply holds what was in it.
    Take,
}

impl CartCommand {
    pub(super) fn effect(&self) -> Effect {
        match self {
            CartCommand::Get => Effect::Read,
            CartCommand::AddLine { .. }
            | CartCommand::SetCount { .. }
            | CartCommand::RemoveLine { .. }
            | CartCommand::Take => Effect::Once,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            CartCommand::Get => "cart.get",
            CartCommand::AddLine { .. } => "cart.add_line",
            CartCommand::SetCount { .. } => "cart.set_count",
            CartCommand::RemoveLine { .. } => "cart.remove_line",
            CartCommand::Take => "cart.take",
        }
    }

    pub(super) fn encode(&self, customer: &CustomerId) -> Message {
        let customer = customer.as_str().to_owned();
        let text = |item: &ItemId| item.as_str().to_owned();
        match self {
            CartCommand::Get => Message::GetCart(proto::GetCart { customer }),
            CartCommand::AddLine { item, offer, count } => Message::AddLine(proto::AddLine {
                customer,
                item: text(item),
                price: offer.price.hundredths(),
                count: *count,
                special_sale: offer.special_sale,
                sale_expiration: offer.sale_expiration.map(Timestamp::micros),
            }),
            CartCommand::SetCount { item, count } => {
                Message::SetCount(proto::SetCount { customer, item: text(item), count: *count })
            }
            CartCommand::RemoveLine { item } => Message::RemoveLine(proto::RemoveLine { customer, item: text(item) }),
            CartCommand::Take => Message::TakeCart(proto::TakeCart { customer }),
        }
    }
}

pub(super) fn add_line(message: proto::AddLine) -> Result<(CustomerId, CartCommand)> {
    if message.count == 0 || message.count > MAX_COUNT {
        return Err(Error::invalid("itemCount", format!("must be 1 to {MAX_COUNT}")));
    }
    let customer = CustomerId::new(message.customer)?;
    let item = ItemId::new(message.item)?;
    let offer = Offer {
        price: Money::from_hundredths(message.price)?,
        special_sale: message.special_sale,
        sale_expiration: message.sale_expiration.map(Timestamp::from_micros).transpose()?,
    };
    Ok((customer, CartCommand::AddLine { item, offer, count: message.count }))
}

pub(super) fn set_count(message: proto::SetCount) -> Result<(CustomerId, CartCommand)> {
    if message.count > MAX_COUNT {
        return Err(Error::invalid("newCount", format!("must be 0 to {MAX_COUNT}")));
    }
    let customer = CustomerId::new(message.customer)?;
    Ok((customer, CartCommand::SetCount { item: ItemId::new(message.item)?, count: message.count }))
}

pub(super) fn remove_line(message: proto::RemoveLine) -> Result<(CustomerId, CartCommand)> {
    let customer = CustomerId::new(message.customer)?;
    Ok((customer, CartCommand::RemoveLine { item: ItemId::new(message.item)? }))
}
