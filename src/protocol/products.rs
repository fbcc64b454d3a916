//! Commands on a product, and lists of products.

use super::effect::Effect;
use super::proto;
use crate::domain::cart::MAX_COUNT;
use crate::domain::money::Money;
use crate::domain::product::{Cleared, Details, NewProduct, ProductUpdate, UpdateMode};
use crate::error::{Error, Result};
use crate::routing::ProductId;
use proto::list_products::Filter as FilterMessage;
use proto::request::Command as Message;

/// The most products in one list.
pub const MAX_LIST: u32 = 1_000;

/// A command on one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductCommand {
    /// Reads the product.
    Get,
    /// Creates the product.
    Create {
        /// The details.
        details: Details,
        /// The first stock.
        stock: u64,
    },
    /// Changes the product.
    Update(ProductUpdate),
    /// Deletes the product. The reply holds the deleted product.
    Delete,
    /// Adds to the stock.
    Replenish {
        /// The count.
        count: u32,
    },
}

/// A query for the products of one shard, ordered by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListProducts {
    /// The condition that they must meet.
    pub filter: Filter,
    /// The id after which the list begins.
    pub after: Option<String>,
    /// The most products: 1 to [`MAX_LIST`].
    pub limit: u32,
}

/// The condition that listed products must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All products.
    All,
    /// Products with a topic, folded by [`crate::domain::product::fold_topic`].
    Topic(String),
    /// Products with an ISBN.
    Books,
}

impl ProductCommand {
    pub(super) fn effect(&self) -> Effect {
        match self {
            ProductCommand::Get => Effect::Read,
            ProductCommand::Create { .. }
            | ProductCommand::Update(_)
            | ProductCommand::Delete
            | ProductCommand::Replenish { .. } => Effect::Once,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            ProductCommand::Get => "product.get",
            ProductCommand::Create { .. } => "product.create",
            ProductCommand::Update(_) => "product.update",
            ProductCommand::Delete => "product.delete",
            ProductCommand::Replenish { .. } => "product.replenish",
        }
    }

    pub(super) fn encode(&self, product: &ProductId) -> Message {
        let product = product.as_str().to_owned();
        match self {
            ProductCommand::Get => Message::GetProduct(proto::GetProduct { product }),
            ProductCommand::Create { details, stock } => Message::CreateProduct(proto::CreateProduct {
                product,
                title: details.title.clone(),
                author: details.author.clone(),
                topic: details.topic.clone(),
                has_isbn: details.has_isbn,
                price: details.price.hundredths(),
                stock: *stock,
            }),
            ProductCommand::Update(update) => Message::ChangeProduct(proto::ChangeProduct {
                product,
                title: update.title.clone(),
                author: update.author.clone(),
                topic: update.topic.clone(),
                has_isbn: update.has_isbn,
                price: update.price.map(Money::hundredths),
                stock: update.stock,
                replaces: update.mode == UpdateMode::Replace,
                clears_author: update.cleared.author,
                clears_topic: update.cleared.topic,
                clears_isbn: update.cleared.isbn,
            }),
            ProductCommand::Delete => Message::DeleteProduct(proto::DeleteProduct { product }),
            ProductCommand::Replenish { count } => Message::Replenish(proto::Replenish { product, count: *count }),
        }
    }
}

impl ListProducts {
    pub(super) fn encode(&self) -> Message {
        Message::ListProducts(proto::ListProducts {
            filter: match &self.filter {
                Filter::All => None,
                Filter::Topic(topic) => Some(FilterMessage::Topic(topic.clone())),
                Filter::Books => Some(FilterMessage::Books(true)),
            },
            after: self.after.clone(),
            limit: self.limit,
        })
    }
}

pub(super) fn create(message: proto::CreateProduct) -> Result<(ProductId, ProductCommand)> {
    let details = Details {
        title: message.title,
        author: message.author,
        topic: message.topic,
        has_isbn: message.has_isbn,
        price: Money::from_hundredths(message.price)?,
    };
    let NewProduct { id, details, stock } = NewProduct::new(ProductId::new(message.product)?, details, message.stock)?;
    Ok((id, ProductCommand::Create { details, stock }))
}

pub(super) fn update(message: proto::ChangeProduct) -> Result<(ProductId, ProductCommand)> {
    let product = ProductId::new(message.product)?;
    let update = ProductUpdate {
        title: message.title,
        author: message.author,
        topic: message.topic,
        has_isbn: message.has_isbn,
        price: message.price.map(Money::from_hundredths).transpose()?,
        stock: message.stock,
        mode: if message.replaces { UpdateMode::Replace } else { UpdateMode::Merge },
        cleared: Cleared { author: message.clears_author, topic: message.clears_topic, isbn: message.clears_isbn },
    };
    update.check(&product)?;
    Ok((product, ProductCommand::Update(update)))
}

pub(super) fn replenish(message: proto::Replenish) -> Result<(ProductId, ProductCommand)> {
    let count = quantity(message.count)?;
    Ok((ProductId::new(message.product)?, ProductCommand::Replenish { count }))
}

pub(super) fn list(message: proto::ListProducts) -> Result<ListProducts> {
    if message.limit == 0 || message.limit > MAX_LIST {
        return Err(Error::invalid("limit", format!("must be 1 to {MAX_LIST}")));
    }
    let filter = match message.filter {
        None => Filter::All,
        Some(FilterMessage::Topic(topic)) => Filter::Topic(topic),
        Some(FilterMessage::Books(_)) => Filter::Books,
    };
    Ok(ListProducts { filter, after: message.after, limit: message.limit })
}

/// Checks the number of copies that a command names.
pub(super) fn quantity(count: u32) -> Result<u32> {
    if count == 0 || count > MAX_COUNT {
        return Err(Error::invalid("quantity", format!("must be 1 to {MAX_COUNT}")));
    }
    Ok(count)
}
