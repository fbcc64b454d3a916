//! The stock of many products together, kept up to date with each change, so that nobody has to add it up.

use super::product::Product;

/// Sums over products. `received = stock + held + sold`, since that is so for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockSums {
    /// The number of products.
    pub products: u64,
    /// The items received, less those written off.
    pub received: u64,
    /// The items that can be sold now.
    pub stock: u64,
    /// The items that open orders hold.
    pub held: u64,
    /// The items sold.
    pub sold: u64,
}

impl StockSums {
    /// Adds a product.
    pub fn add(&mut self, product: &Product) {
        self.add_all(&StockSums::of(product));
    }

    /// Takes out a product as it was added.
    pub fn remove(&mut self, product: &Product) {
        let Product { received, stock, held, sold, .. } = *product;
        self.products -= 1;
        self.received -= received;
        self.stock -= stock;
        self.held -= held;
        self.sold -= sold;
    }

    /// The sums over the products of several sums.
    pub fn over<'a>(parts: impl Iterator<Item = &'a StockSums>) -> Self {
        let mut sums = StockSums::default();
        parts.for_each(|part| sums.add_all(part));
        sums
    }

    fn add_all(&mut self, other: &StockSums) {
        self.products += other.products;
        self.received += other.received;
        self.stock += other.stock;
        self.held += other.held;
        self.sold += other.sold;
    }

    /// True when what was received is where it can be.
    pub fn adds_up(&self) -> bool {
        self.received == self.stock + self.held + self.sold
    }

    fn of(product: &Product) -> Self {
        let Product { received, stock, held, sold, .. } = *product;
        StockSums { products: 1, received, stock, held, sold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;
    use crate::domain::product::Details;

    #[test]
    fn sums_follow_products() {
        let details = Details {
            title: "Tea".into(),
            author: None,
            topic: None,
            has_isbn: false,
            price: Money::from_hundredths(100).unwrap(),
        };
        let (mut first, second) = (Product::new(details.clone(), 7, 1), Product::new(details, 5, 2));
        let mut sums = StockSums::default();
        sums.add(&first);
        sums.add(&second);
        sums.remove(&first);
        first.hold(3).unwrap();
        sums.add(&first);
        assert_eq!(sums, StockSums { products: 2, received: 12, stock: 9, held: 3, sold: 0 });
        assert!(sums.adds_up());
        assert!(!StockSums { sold: 1, ..sums }.adds_up());
        sums.remove(&first);
        sums.remove(&second);
        assert_eq!(sums, StockSums::default());
    }
}
