//! The rules of a cart. Lines stay in the order in which they were first added. Adding an item again adds to
//! its count and replaces its offer.

use super::money::{Money, Total};
use super::tag::Tag;
use super::time::Timestamp;
use crate::error::{ConflictCode, Error, Result};
use crate::routing::{ItemId, OrderId};

/// The most lines in one cart.
pub const MAX_LINES: usize = 1_000;
/// The greatest count of one line.
pub const MAX_COUNT: u32 = 1_000_000;

/// The terms at which an item was put into the cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The price of one.
    pub price: Money,
    /// True for a special sale.
    pub special_sale: bool,
    /// The end of the special sale; `None` when it does not end.
    pub sale_expiration: Option<Timestamp>,
}

impl Offer {
    /// True while the special sale lasts.
    pub fn is_sale_active(&self, now: Timestamp) -> bool {
        self.special_sale && self.sale_expiration.is_none_or(|end| now < end)
    }

    /// True for a special sale that has ended.
    pub fn has_sale_expired(&self, now: Timestamp) -> bool {
        self.special_sale && !self.is_sale_active(now)
    }
}

/// One item of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The item.
    pub item: ItemId,
    /// The newest offer.
    pub offer: Offer,
    /// The count: 1 to [`MAX_COUNT`].
    pub count: u32,
}

/// A customer's cart. An empty cart counts as absent: it has version 0 and is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cart {
    /// The record's version; 0 when there is none.
    pub version: u64,
    /// The time of the last change; `None` for a cart that does not exist.
    pub updated_at: Option<Timestamp>,
    /// The lines, in the order they were first added.
    pub lines: Vec<Line>,
    /// The order that checks the cart out. Until that order is decided, the cart's lines can only be added to.
    pub checkout: Option<OrderId>,
}

/// The outcome of [`Cart::add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The line is new.
    New,
    /// The line was there: the count was added to it.
    Existing,
}

impl Cart {
    /// Puts an item in, or adds to its count and replaces its offer.
    ///
    /// # Errors
    /// [`Error::Conflict`] past [`MAX_LINES`] or [`MAX_COUNT`].
    pub fn add(&mut self, item: ItemId, offer: Offer, count: u32) -> Result<Added> {
        if let Some(line) = self.lines.iter_mut().find(|line| line.item == item) {
            let sum = line.count.checked_add(count).filter(|sum| *sum <= MAX_COUNT);
            line.count = sum.ok_or_else(|| {
                let detail = format!("itemCount: {} + {count} is more than {MAX_COUNT}", line.count);
                Error::conflict(ConflictCode::CountLimit, detail)
            })?;
            line.offer = offer;
            return Ok(Added::Existing);
        }
        if count > MAX_COUNT {
            let detail = format!("itemCount: {count} is more than {MAX_COUNT}");
            return Err(Error::conflict(ConflictCode::CountLimit, detail));
        }
        if self.lines.len() >= MAX_LINES {
            let detail = format!("the cart is full: it has {MAX_LINES} lines");
            return Err(Error::conflict(ConflictCode::CartFull, detail));
        }
        self.lines.push(Line { item, offer, count });
        Ok(Added::New)
    }

    /// Sets a line's count; 0 removes the line.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such line.
    pub fn set_count(&mut self, item: &ItemId, count: u32) -> Result<()> {
        if count == 0 {
            return self.remove(item);
        }
        let index = self.position(item)?;
        self.lines[index].count = count;
        Ok(())
    }

    /// Removes a line.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such line.
    pub fn remove(&mut self, item: &ItemId) -> Result<()> {
        let index = self.position(item)?;
        self.lines.remove(index);
        Ok(())
    }

    /// Removes the count that was sold; what was added since the checkout stays.
    pub fn subtract(&mut self, item: &ItemId, count: u32) {
        if let Ok(index) = self.position(item) {
            let line = &mut self.lines[index];
            line.count = line.count.saturating_sub(count);
            if line.count == 0 {
                self.lines.remove(index);
            }
        }
    }

    /// The number of items over all lines.
    pub fn item_total(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.count)).sum()
    }

    /// The total price.
    pub fn total(&self) -> Total {
        self.lines.iter().fold(Total::default(), |total, line| total.add(line.offer.price, line.count))
    }

    /// The entity tag at the time `now`.
    pub fn tag(&self, now: Timestamp) -> Tag {
        let expired = self.lines.iter().filter(|line| line.offer.has_sale_expired(now)).count();
        Tag { version: self.version, expired: expired as u32 }
    }

    fn position(&self, item: &ItemId) -> Result<usize> {
        let found = self.lines.iter().position(|line| line.item == *item);
        found.ok_or_else(|| Error::NotFound("the cart has no such line".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(number: u32) -> ItemId {
        ItemId::new(format!("i{number}")).unwrap()
    }

    fn offer(hundredths: u64) -> Offer {
        Offer { price: Money::from_hundredths(hundredths).unwrap(), special_sale: false, sale_expiration: None }
    }

    #[test]
    fn the_limits_hold_and_change_nothing() {
        let mut cart = Cart::default();
        for number in 0..MAX_LINES as u32 {
            assert_eq!(cart.add(item(number), offer(1), MAX_COUNT), Ok(Added::New));
        }
        let full = cart.clone();
        assert!(matches!(cart.add(item(5_000), offer(2), 1), Err(Error::Conflict(_))));
        assert!(matches!(cart.add(item(0), offer(2), 1), Err(Error::Conflict(_))));
        assert!(matches!(cart.add(item(0), offer(2), u32::MAX), Err(Error::Conflict(_))));
        assert_eq!(cart, full);
    }

    #[test]
    fn the_greatest_cart_adds_up_exactly() {
        let mut cart = Cart::default();
        for number in 0..MAX_LINES as u32 {
            cart.add(item(number), offer(super::super::money::MAX_HUNDREDTHS), MAX_COUNT).unwrap();
        }
        assert_eq!(cart.item_total(), 1_000_000_000);
        assert_eq!(cart.total().to_string(), "9999999999990000000.00");
    }

    #[test]
    fn a_sale_ends_at_its_expiration_and_changes_the_tag() {
        let at = |micros| Timestamp::from_micros(micros).unwrap();
        let mut cart = Cart { version: 9, ..Cart::default() };
        let sale = Offer { special_sale: true, sale_expiration: Some(at(100)), ..offer(1) };
        cart.add(item(1), sale, 1).unwrap();
        assert!(sale.is_sale_active(at(99)) && !sale.is_sale_active(at(100)));
        assert_eq!(cart.tag(at(99)).to_string(), "9");
        assert_eq!(cart.tag(at(100)).to_string(), "9.1");
        assert!(!Offer { special_sale: false, ..sale }.is_sale_active(at(0)));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Add(u32, u64, u32),
        SetCount(u32, u32),
        Remove(u32),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            (0..6u32, 0..10_000u64, 1..=MAX_COUNT).prop_map(|(i, p, c)| Op::Add(i, p, c)),
            (0..6u32, 0..=3u32).prop_map(|(i, c)| Op::SetCount(i, c)),
            (0..6u32).prop_map(Op::Remove),
        ];
        prop::collection::vec(op, 0..40)
    }

    /// The model of a cart: (item, price, count) in order.
    type Model = Vec<(u32, u64, u32)>;

    fn apply_to_model(model: &mut Model, op: &Op) -> bool {
        let (Op::Add(i, ..) | Op::SetCount(i, _) | Op::Remove(i)) = op;
        let at = model.iter().position(|line| line.0 == *i);
        match (op, at) {
            (Op::Add(_, price, count), Some(at)) => {
                let fits = model[at].2 + count <= MAX_COUNT;
                if fits {
                    model[at] = (*i, *price, model[at].2 + count);
                }
                fits
            }
            (Op::Add(_, price, count), None) => {
                model.push((*i, *price, *count));
                true
            }
            (_, None) => false,
            (Op::SetCount(_, count), Some(at)) if *count > 0 => {
                model[at].2 = *count;
                true
            }
            (_, Some(at)) => {
                model.remove(at);
                true
            }
        }
    }

    proptest! {
        #[test]
        fn a_cart_agrees_with_its_model(ops in ops()) {
            let (mut cart, mut model) = (Cart::default(), Model::new());
            for op in &ops {
                let applied = match op {
                    Op::Add(i, price, count) => cart.add(item(*i), offer(*price), *count).is_ok(),
                    Op::SetCount(i, count) => cart.set_count(&item(*i), *count).is_ok(),
                    Op::Remove(i) => cart.remove(&item(*i)).is_ok(),
                };
                prop_assert_eq!(applied, apply_to_model(&mut model, op));
            }
            let lines: Model = cart.lines.iter()
                .map(|l| (l.item.as_str()[1..].parse().unwrap(), l.offer.price.hundredths(), l.count)).collect();
            prop_assert_eq!(&lines, &model);
            prop_assert_eq!(cart.total().hundredths(), model.iter().map(|l| u128::from(l.1) * u128::from(l.2)).sum::<u128>());
            prop_assert_eq!(cart.item_total(), model.iter().map(|l| u64::from(l.2)).sum::<u64>());
        }
    }
}
