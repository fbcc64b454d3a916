//! The lines of an order: the product and count, the agreed price, and the price found by a quote or a hold.

use crate::domain::money::Money;
use crate::domain::reservation::{HoldResult, Quote};
use crate::error::{ConflictCode, Error, LineProblem, Result};
use crate::routing::ProductId;

/// The most lines of an order that is not the checkout of a cart.
pub const MAX_ORDER_LINES: usize = 100;

/// A product and its count, as a customer orders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedItem {
    /// The product.
    pub product: ProductId,
    /// The count, at least 1.
    pub count: u32,
}

/// The price at which a line was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgreedPrice {
    /// The catalog price at the time of the hold.
    Catalog,
    /// The price it was offered at.
    Offer(Money),
    /// The price it was offered at in a sale that has ended; the catalog price applies.
    ExpiredOffer(Money),
}

/// One product of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// The product.
    pub product: ProductId,
    /// The count, at least 1.
    pub count: u32,
    /// The price agreed on.
    pub agreed: AgreedPrice,
    /// The price of one; `None` until a quote or a hold.
    pub price: Option<Money>,
    /// True if the id is known to be an ISBN.
    pub has_isbn: bool,
    /// The product's incarnation; `None` until a quote or a hold, and in orders of releases that did not keep it.
    pub incarnation: Option<u64>,
}

/// The product of an order of one line, as its answer shows it. Empty for orders of several lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SingleItem {
    /// The title.
    pub title: String,
    /// The count that can still be sold.
    pub remaining: u64,
}

impl SingleItem {
    /// The product of a hold with a single held line; empty otherwise.
    pub fn of(found: &[HoldResult]) -> Self {
        match found {
            [HoldResult::Held(quote)] => SingleItem { title: quote.title.clone(), remaining: quote.available },
            _ => SingleItem::default(),
        }
    }
}

impl OrderLine {
    /// A line that has no price yet.
    pub fn new(item: OrderedItem, agreed: AgreedPrice) -> Self {
        OrderLine { product: item.product, count: item.count, agreed, price: None, has_isbn: false, incarnation: None }
    }

    /// The product and count to hold.
    pub fn item(&self) -> OrderedItem {
        OrderedItem { product: self.product.clone(), count: self.count }
    }

    /// Sets the price from the result of a quote or a hold. Returns the line's problem, if it has one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the order's stock was settled before.
    pub(super) fn apply_quote(
        &mut self,
        found: &HoldResult,
        needs_isbn: bool,
        accepts_price_changes: bool,
    ) -> Result<Option<LineProblem>> {
        let (quote, is_short) = match found {
            HoldResult::Held(quote) => (quote, false),
            HoldResult::Short(quote) => (quote, true),
            HoldResult::UnknownProduct => return Ok(Some(LineProblem::UnknownProduct)),
            HoldResult::AlreadySettled => {
                return Err(Error::Unavailable(
                    "the order was given up before its stock was held; nothing was applied".into(),
                ));
            }
        };
        if needs_isbn && !quote.has_isbn {
            return Ok(Some(LineProblem::UnknownProduct));
        }
        self.has_isbn = quote.has_isbn;
        self.incarnation = quote.incarnation;
        let available = quote.available;
        let short = is_short.then(|| match available.saturating_add(quote.held) >= u64::from(self.count) {
            true => LineProblem::StockHeld { available },
            false => LineProblem::OutOfStock { available },
        });
        Ok(self.apply_price(quote, accepts_price_changes).or(short))
    }

    fn apply_price(&mut self, quote: &Quote, accepts_price_changes: bool) -> Option<LineProblem> {
        self.price = Some(match self.agreed {
            AgreedPrice::Offer(price) => price,
            AgreedPrice::Catalog | AgreedPrice::ExpiredOffer(_) => quote.price,
        });
        match self.agreed {
            AgreedPrice::ExpiredOffer(old) if old != quote.price && !accepts_price_changes => {
                Some(LineProblem::SaleExpired { old_price: old.hundredths(), new_price: quote.price.hundredths() })
            }
            _ => None,
        }
    }
}

/// Merges the items of each product into one, in the order of their first mention.
///
/// # Errors
/// [`Error::Conflict`] when a sum passes `most`.
pub fn add_together(items: Vec<OrderedItem>, most: u32) -> Result<Vec<OrderedItem>> {
    let mut sums: Vec<OrderedItem> = Vec::with_capacity(items.len());
    for item in items {
        match sums.iter_mut().find(|sum| sum.product == item.product) {
            None => sums.push(item),
            Some(sum) => {
                sum.count = sum.count.checked_add(item.count).filter(|count| *count <= most).ok_or_else(|| {
                    let product = item.product.as_str();
                    let detail = format!("items: the quantities of {product} add up to more than {most}");
                    Error::conflict(ConflictCode::CountLimit, detail)
                })?;
            }
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_product_are_added_together() {
        let item = |id: &str, count| OrderedItem { product: ProductId::new(id).unwrap(), count };
        let sums = add_together(vec![item("a", 1), item("b", 2), item("a", 3)], 4).unwrap();
        assert_eq!(sums, [item("a", 4), item("b", 2)]);
        assert!(matches!(add_together(vec![item("a", 1), item("a", 4)], 4), Err(Error::Conflict(_))));
    }

    #[test]
    fn only_an_order_of_one_line_has_a_single_item() {
        let quote = Quote {
            price: Money::default(),
            has_isbn: true,
            available: 3,
            held: 0,
            title: "T".into(),
            incarnation: None,
        };
        let held = HoldResult::Held(quote);
        assert_eq!(SingleItem::of(std::slice::from_ref(&held)), SingleItem { title: "T".into(), remaining: 3 });
        for several in [&[][..], &[held.clone(), held][..], &[HoldResult::UnknownProduct][..]] {
            assert_eq!(SingleItem::of(several), SingleItem::default());
        }
    }
}
