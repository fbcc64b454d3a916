//! The rules of a product and its stock. The count received is always the sum of the counts that can be sold,
//! are held and were sold.

use super::money::Money;
use super::tag::Tag;
use crate::error::{ConflictCode, Error, Invalid, Result};
use crate::routing::ProductId;

/// The longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 512;
/// The longest author, in bytes.
pub const MAX_AUTHOR_BYTES: usize = 256;
/// The longest topic, in bytes: as the longest id, since both are part of a path.
pub const MAX_TOPIC_BYTES: usize = 128;
/// The longest ISBN, in letters, digits and hyphens.
pub const MAX_ISBN_BYTES: usize = 20;
/// The most stock that a product can have, with what orders hold, since that can come back.
pub const MAX_STOCK: u64 = 1_000_000_000;

/// The fields of a product except its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Its title: 1 to [`MAX_TITLE_BYTES`] bytes.
    pub title: String,
    /// The author.
    pub author: Option<String>,
    /// The topic; search ignores case.
    pub topic: Option<String>,
    /// True when the id is an ISBN.
    pub has_isbn: bool,
    /// The price of one.
    pub price: Money,
}

/// A product to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProduct {
    /// Its id.
    pub id: ProductId,
    /// The details.
    pub details: Details,
    /// The first stock: 0 to [`MAX_STOCK`].
    pub stock: u64,
}

/// A product and its stock; `received = stock + held + sold`, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The record's version.
    pub version: u64,
    /// The version it was created with, which tells it from a deleted product of the same id.
    pub incarnation: u64,
    /// The details.
    pub details: Details,
    /// The number that can be sold now.
    pub stock: u64,
    /// The number that open orders hold.
    pub held: u64,
    /// The number sold.
    pub sold: u64,
    /// The number received, less the number written off.
    pub received: u64,
}

/// An update of a product. [`ProductUpdate::mode`] decides what a field that is not given means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductUpdate {
    /// A new title.
    pub title: Option<String>,
    /// A new author.
    pub author: Option<String>,
    /// A new topic.
    pub topic: Option<String>,
    /// True to declare that the id is an ISBN.
    pub has_isbn: bool,
    /// A new price.
    pub price: Option<Money>,
    /// A new number that can be sold.
    pub stock: Option<u64>,
    /// The treatment of fields that are not given.
    pub mode: UpdateMode,
    /// What is removed although the mode keeps what is not given.
    pub cleared: Cleared,
}

/// The fields that a merge patch removes with `null` (RFC 7396).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// The author.
    pub author: bool,
    /// The topic.
    pub topic: bool,
    /// That the id is an ISBN.
    pub isbn: bool,
}

/// The treatment of fields that an update does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateMode {
    /// They keep their values (`PATCH`).
    #[default]
    Merge,
    /// The author and the topic are removed (`PUT`); the others must be given.
    Replace,
}

impl NewProduct {
    /// Checks a product.
    ///
    /// # Errors
    /// [`Invalid`] that names the field.
    pub fn new(id: ProductId, details: Details, stock: u64) -> Result<Self, Invalid> {
        details.check()?;
        if details.has_isbn {
            check_isbn(&id)?;
        }
        check_stock(stock)?;
        Ok(NewProduct { id, details, stock })
    }
}

impl Details {
    fn check(&self) -> Result<(), Invalid> {
        check_title(&self.title)?;
        self.author.as_deref().map_or(Ok(()), check_author)?;
        self.topic.as_deref().map_or(Ok(()), check_topic)
    }
}

impl ProductUpdate {
    /// Checks an update of the product with this id.
    ///
    /// # Errors
    /// [`Invalid`] that names the field.
    pub fn check(&self, id: &ProductId) -> Result<(), Invalid> {
        self.title.as_deref().map_or(Ok(()), check_title)?;
        self.author.as_deref().map_or(Ok(()), check_author)?;
        self.topic.as_deref().map_or(Ok(()), check_topic)?;
        if self.has_isbn {
            check_isbn(id)?;
        }
        self.stock.map_or(Ok(()), check_stock)
    }
}

/// Checks that an id can be an ISBN: 1 to 20 letters, digits and hyphens.
///
/// # Errors
/// [`Invalid`] that names the field.
pub fn check_isbn(id: &ProductId) -> Result<(), Invalid> {
    let text = id.as_str();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if text.len() > MAX_ISBN_BYTES || !plain {
        return Err(Invalid::new("isbn", format!("must be 1 to {MAX_ISBN_BYTES} letters, digits or hyphens")));
    }
    Ok(())
}

/// Checks a title.
///
/// # Errors
/// [`Invalid`] that names the field.
pub fn check_title(text: &str) -> Result<(), Invalid> {
    check_text("title", text, MAX_TITLE_BYTES)
}

/// Checks an author.
///
/// # Errors
/// [`Invalid`] that names the field.
pub fn check_author(text: &str) -> Result<(), Invalid> {
    check_text("author", text, MAX_AUTHOR_BYTES)
}

/// Checks a topic.
///
/// # Errors
/// [`Invalid`] that names the field.
pub fn check_topic(text: &str) -> Result<(), Invalid> {
    check_text("topic", text, MAX_TOPIC_BYTES)
}

fn check_text(field: &'static str, text: &str, most: usize) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > most {
        return Err(Invalid::new(field, format!("{} bytes, must be 1 to {most}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, "control characters are not allowed"));
    }
    Ok(())
}

fn check_stock(stock: u64) -> Result<(), Invalid> {
    if stock > MAX_STOCK {
        return Err(Invalid::new("stock", format!("must be 0 to {MAX_STOCK}")));
    }
    Ok(())
}

/// Folds a topic to the form that search compares: case is ignored.
pub fn fold_topic(topic: &str) -> String {
    topic.to_lowercase()
}

impl Product {
    /// A product that was just created.
    pub fn new(details: Details, stock: u64, version: u64) -> Self {
        Product { version, incarnation: version, details, stock, held: 0, sold: 0, received: stock }
    }

    /// Its entity tag.
    pub fn tag(&self) -> Tag {
        Tag::of_version(self.version)
    }

    /// True when `received = stock + held + sold`.
    pub fn is_balanced(&self) -> bool {
        u128::from(self.received) == u128::from(self.stock) + u128::from(self.held) + u128::from(self.sold)
    }

    /// Moves copies from those that can be sold to those that are held.
    ///
    /// # Errors
    /// [`Error::Conflict`] when fewer are in stock; nothing is held then.
    pub fn hold(&mut self, count: u32) -> Result<()> {
        self.stock = self.stock.checked_sub(u64::from(count)).ok_or_else(|| self.insufficient(count))?;
        self.held += u64::from(count);
        Ok(())
    }

    /// Moves held copies back to those that can be sold.
    pub fn release(&mut self, count: u32) {
        self.held -= u64::from(count);
        self.stock += u64::from(count);
    }

    /// Sells held copies.
    pub fn claim(&mut self, count: u32) {
        self.held -= u64::from(count);
        self.sold += u64::from(count);
    }

    /// Moves copies of a cancelled order back to those that can be sold, past [`MAX_STOCK`] if need be. No more come back than
    /// were sold.
    pub fn take_back(&mut self, count: u32) {
        let count = u64::from(count).min(self.sold);
        self.sold -= count;
        self.stock += count;
    }

    /// Adds copies to those that can be sold.
    ///
    /// # Errors
    /// [`Error::Conflict`] past [`MAX_STOCK`].
    pub fn replenish(&mut self, count: u32) -> Result<()> {
        let count = u64::from(count);
        self.check_sum("quantity", self.stock + count)?;
        self.stock += count;
        self.received += count;
        Ok(())
    }

    /// Refuses a stock that would pass the limit once everything that is held comes back.
    fn check_sum(&self, field: &str, stock: u64) -> Result<()> {
        if stock + self.held <= MAX_STOCK {
            return Ok(());
        }
        let detail = format!("{field}: {stock} and {} that orders hold are more than {MAX_STOCK}", self.held);
        Err(Error::conflict(ConflictCode::StockLimit, detail))
    }

    /// Applies a checked update. A difference in stock counts as received or written off.
    ///
    /// # Errors
    /// [`Error::Conflict`] for stock past [`MAX_STOCK`]; nothing is changed then.
    pub fn apply(&mut self, update: &ProductUpdate) -> Result<()> {
        // What cancelled orders brought back past the limit may be written as it was read.
        if let Some(stock) = update.stock.filter(|stock| *stock != self.stock) {
            self.check_sum("stock", stock)?;
        }
        let details = &mut self.details;
        if let Some(title) = &update.title {
            details.title.clone_from(title);
        }
        for (field, new, is_cleared) in [
            (&mut details.author, &update.author, update.cleared.author),
            (&mut details.topic, &update.topic, update.cleared.topic),
        ] {
            if new.is_some() || is_cleared || update.mode == UpdateMode::Replace {
                field.clone_from(new);
            }
        }
        details.has_isbn = (details.has_isbn && !update.cleared.isbn) || update.has_isbn;
        details.price = update.price.unwrap_or(details.price);
        if let Some(stock) = update.stock {
            self.received = self.received - self.stock + stock;
            self.stock = stock;
        }
        Ok(())
    }

    fn insufficient(&self, count: u32) -> Error {
        let detail = format!("insufficient stock: {count} wanted, {} can be sold", self.stock);
        Error::conflict(ConflictCode::OutOfStock, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn product(stock: u64) -> Product {
        let price = Money::from_hundredths(1_299).unwrap();
        let details = Details { title: "T".into(), author: None, topic: None, has_isbn: false, price };
        Product::new(details, stock, 7)
    }

    #[test]
    fn no_more_is_sold_than_is_in_stock() {
        let mut product = product(2);
        assert!(matches!(product.hold(3), Err(Error::Conflict(_))));
        assert_eq!((product.stock, product.held), (2, 0));
        product.hold(2).unwrap();
        assert!(product.hold(1).is_err());
        product.release(1);
        product.claim(1);
        assert_eq!((product.stock, product.held, product.sold, product.received), (1, 0, 1, 2));
        product.take_back(2);
        assert_eq!((product.stock, product.held, product.sold, product.received), (2, 0, 0, 2));
    }

    #[test]
    fn fields_are_bounded() {
        let id = |text: &str| ProductId::new(text).unwrap();
        let details = product(1).details;
        assert!(NewProduct::new(id("a b"), details.clone(), MAX_STOCK).is_ok());
        assert!(NewProduct::new(id("a"), details.clone(), MAX_STOCK + 1).is_err());
        assert!(NewProduct::new(id("a b"), Details { has_isbn: true, ..details.clone() }, 1).is_err());
        assert!(NewProduct::new(id("978-0"), Details { has_isbn: true, ..details.clone() }, 1).is_ok());
        for title in [String::new(), "x".repeat(MAX_TITLE_BYTES + 1), "a\nb".into()] {
            assert!(NewProduct::new(id("a"), Details { title, ..details.clone() }, 1).is_err());
        }
        for (check, most) in [
            (check_title as fn(&str) -> Result<(), Invalid>, MAX_TITLE_BYTES),
            (check_author, MAX_AUTHOR_BYTES),
            (check_topic, MAX_TOPIC_BYTES),
        ] {
            assert_eq!([most, most + 1].map(|length| check(&"x".repeat(length)).is_ok()), [true, false]);
        }
    }

    #[test]
    fn stock_that_comes_back_does_not_pass_the_limit() {
        let mut product = product(10);
        product.hold(4).unwrap();
        let to = |stock| ProductUpdate { stock: Some(stock), ..ProductUpdate::default() };
        assert!(matches!(product.apply(&to(MAX_STOCK - 3)), Err(Error::Conflict(_))));
        assert_eq!((product.stock, product.received), (6, 10));
        product.apply(&to(MAX_STOCK - 4)).unwrap();
        assert!(matches!(product.replenish(1), Err(Error::Conflict(_))));
        product.release(4);
        assert_eq!((product.stock, product.held, product.is_balanced()), (MAX_STOCK, 0, true));
    }

    #[test]
    fn stock_that_cancelled_orders_brought_past_the_limit_stays() {
        let to = |stock| ProductUpdate { stock: Some(stock), ..ProductUpdate::default() };
        let mut product = product(10);
        product.hold(4).unwrap();
        product.claim(2);
        product.apply(&to(MAX_STOCK - 2)).unwrap();
        product.take_back(2);
        assert_eq!((product.stock, product.held), (MAX_STOCK, 2));
        product.apply(&to(MAX_STOCK)).unwrap();
        assert!(matches!(product.apply(&to(MAX_STOCK - 1)), Err(Error::Conflict(_))));
        product.apply(&to(MAX_STOCK - 2)).unwrap();
        assert_eq!((product.stock, product.held, product.is_balanced()), (MAX_STOCK - 2, 2, true));
    }

    proptest! {
        #[test]
        fn stock_stays_balanced(steps in prop::collection::vec((0..6_u8, 1..50_u32), 0..200)) {
            let mut product = product(20);
            let mut holds = Vec::new();
            for (step, count) in steps {
                match step {
                    0 => if product.hold(count).is_ok() { holds.push(count) },
                    5 => product.take_back(count),
                    1 => if let Some(count) = holds.pop() { product.claim(count) },
                    2 => if let Some(count) = holds.pop() { product.release(count) },
                    3 => product.replenish(count).unwrap(),
                    _ => {
                        let update = ProductUpdate { stock: Some(u64::from(count)), ..ProductUpdate::default() };
                        product.apply(&update).unwrap();
                    }
                }
                prop_assert!(product.is_balanced(), "{product:?}");
                prop_assert_eq!(product.held, holds.iter().map(|count| u64::from(*count)).sum::<u64>());
            }
        }
    }
}
