//! What shoppers know about the stock of their products: what was acknowledged, and what may have happened because an
//! answer is still out. A product that the store shows must lie between the two. Pure rules, shared by all shoppers.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The pieces of one product that shoppers know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Brought in, acknowledged.
    pub received: u64,
    /// Brought in, if the answer that is still out says so.
    pub may_be_received: u64,
    /// Sold, acknowledged.
    pub sold: u64,
    /// Sold, if the answer that is still out says so.
    pub may_be_sold: u64,
    /// Given back by cancelled orders, acknowledged. They are among those that were sold.
    pub returned: u64,
    /// Given back, if the answer that is still out says so.
    pub may_be_returned: u64,
}

impl Known {
    /// What can be sold now, as far as is known.
    pub fn stock(&self) -> u64 {
        let (received, sold) = (self.received + self.may_be_received, self.sold + self.may_be_sold);
        (received + self.returned).saturating_sub(sold)
    }
}

/// A product as the store shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// What can be sold now.
    pub stock: u64,
    /// What orders hold.
    pub held: u64,
    /// What was sold.
    pub sold: u64,
    /// What was brought in.
    pub received: u64,
}

impl Shown {
    /// The pieces by which a product is off that was read while shoppers went on. `before` is what they knew before they
    /// asked, `after` when they had the answer. What is sold may still show as held, and what is given back as sold: other
    /// shards than the order's own settle after the answer.
    pub fn drift(&self, before: &Known, after: &Known) -> u64 {
        let sum = self.received.abs_diff(self.stock + self.held + self.sold);
        let received = outside(self.received, before.received, after.received + after.may_be_received);
        let too_many = self.sold.saturating_sub(after.sold + after.may_be_sold);
        let returned = after.returned + after.may_be_returned;
        let too_few = before.sold.saturating_sub(self.sold + self.held + returned);
        sum.max(received).max(too_many).max(too_few)
    }

    /// The pieces by which a product is off when nobody shops and every outcome is known.
    pub fn drift_at_rest(&self, known: &Known) -> u64 {
        self.drift(known, known).max(self.held).max((self.sold + known.returned).abs_diff(known.sold))
    }
}

/// The distance of a number from a range.
fn outside(number: u64, least: u64, most: u64) -> u64 {
    least.saturating_sub(number).max(number.saturating_sub(most))
}

/// A move of pieces of some products, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movement {
    /// So many of each are sold.
    Sale(Vec<(usize, u64)>),
    /// So many of each are given back.
    Return(Vec<(usize, u64)>),
    /// So many of one are brought in.
    Delivery(usize, u64),
}

/// The numbers of one kind of movement.
struct Numbers<'a> {
    open: &'a mut u64,
    settled: &'a mut u64,
}

impl Known {
    fn numbers_of(&mut self, movement: &Movement) -> Numbers<'_> {
        match movement {
            Movement::Sale(_) => Numbers { open: &mut self.may_be_sold, settled: &mut self.sold },
            Movement::Return(_) => Numbers { open: &mut self.may_be_returned, settled: &mut self.returned },
            Movement::Delivery(..) => Numbers { open: &mut self.may_be_received, settled: &mut self.received },
        }
    }
}

/// What is known of one product, and how far it has been off.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    known: Known,
    worst: u64,
    is_gone: bool,
}

/// What shoppers know of all their products, by number.
#[derive(Debug)]
pub struct Stock(Mutex<Vec<Entry>>);

impl Stock {
    /// Begins with this many products that have nothing.
    pub fn of(products: usize) -> Self {
        Stock(Mutex::new(vec![Entry::default(); products]))
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of products.
    pub fn products(&self) -> usize {
        self.entries().len()
    }

    /// What is known of a product.
    pub fn known(&self, product: usize) -> Known {
        self.entries()[product].known
    }

    /// Notes a movement that is about to be asked for.
    pub fn ask(&self, movement: &Movement) {
        self.change(movement, |of, count| *of.open += count);
    }

    /// Notes whether a movement that was asked for has happened.
    pub fn settle(&self, movement: &Movement, happened: bool) {
        self.change(movement, |of, count| {
            *of.open -= count;
            *of.settled += if happened { count } else { 0 };
        });
    }

    fn change(&self, movement: &Movement, change: impl Fn(Numbers<'_>, u64)) {
        let mut entries = self.entries();
        let lines = match movement {
            Movement::Sale(lines) | Movement::Return(lines) => lines.as_slice(),
            Movement::Delivery(product, count) => &[(*product, *count)],
        };
        for (product, count) in lines {
            change(entries[*product].known.numbers_of(movement), *count);
        }
    }

    /// Notes by how much a product was off.
    pub fn note_drift(&self, product: usize, drift: u64) {
        let entry = &mut self.entries()[product];
        entry.worst = entry.worst.max(drift);
    }

    /// Notes that the store has lost a product. True the first time.
    pub fn note_gone(&self, product: usize) -> bool {
        !std::mem::replace(&mut self.entries()[product].is_gone, true)
    }

    /// The products that the store has not lost.
    pub fn present(&self) -> Vec<usize> {
        let entries = self.entries();
        (0..entries.len()).filter(|product| !entries[*product].is_gone).collect()
    }

    /// The pieces by which products were off at worst, all together.
    pub fn drift(&self) -> u64 {
        self.entries().iter().map(|entry| entry.worst).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(received: u64, held: u64, sold: u64) -> Shown {
        Shown { stock: received - held - sold, held, sold, received }
    }

    #[test]
    fn a_product_that_adds_up_and_was_sold_as_acknowledged_has_not_drifted() {
        let known = Known { received: 100, sold: 7, ..Known::default() };
        assert_eq!(shown(100, 0, 7).drift_at_rest(&known), 0);
        for (shown, drift) in [
            (shown(100, 0, 6), 1),
            (shown(100, 0, 9), 2),
            (shown(100, 3, 7), 3),
            (shown(104, 0, 7), 4),
            (shown(95, 0, 7), 5),
            (Shown { stock: 99, ..shown(100, 0, 7) }, 6),
        ] {
            assert_eq!(shown.drift_at_rest(&known), drift, "{shown:?}");
        }
    }

    proptest! {
        /// The true course of one product, with a read somewhere in it.
        #[test]
        fn a_true_store_is_within_the_bounds_at_any_moment(
            steps in proptest::collection::vec((any::<bool>(), any::<bool>(), 1..5_u64), 1..40),
            asked in 0..40_usize, read in 0..40_usize, answered in 0..40_usize,
        ) {
            let mut moments = [asked.min(steps.len()), read.min(steps.len()), answered.min(steps.len())];
            moments.sort_unstable();
            let stock = Stock::of(1);
            let (mut sold, mut received) = (0, 0);
            let (mut before, mut shown, mut open) = (Known::default(), Shown::default(), Vec::new());
            for (number, (is_sale, happens, count)) in steps.iter().enumerate() {
                if number == moments[0] { before = stock.known(0); }
                if number == moments[1] { shown = Shown { stock: received, held: 0, sold, received: received + sold }; }
                let movement = if *is_sale { Movement::Sale(vec![(0, *count)]) } else { Movement::Delivery(0, *count) };
                stock.ask(&movement);
                let happens = *happens && (!is_sale || received >= *count);
                if happens && *is_sale { sold += count; received -= count; }
                if happens && !is_sale { received += count; }
                open.push((movement, happens));
                // Every other answer is still out for a while.
                if number % 2 == 0 {
                    open.drain(..).for_each(|(movement, happened)| stock.settle(&movement, happened));
                }
                if number == moments[2] && number >= moments[1] {
                    prop_assert_eq!(shown.drift(&before, &stock.known(0)), 0);
                }
            }
            open.drain(..).for_each(|(movement, happened)| stock.settle(&movement, happened));
            let end = Shown { stock: received, held: 0, sold, received: received + sold };
            prop_assert_eq!(end.drift_at_rest(&stock.known(0)), 0);
        }
    }

    #[test]
    fn an_answer_that_is_out_widens_the_bounds_and_only_those() {
        let stock = Stock::of(2);
        stock.ask(&Movement::Delivery(0, 50));
        assert_eq!(shown(0, 0, 0).drift(&stock.known(0), &stock.known(0)), 0);
        assert_eq!(shown(50, 0, 0).drift(&stock.known(0), &stock.known(0)), 0);
        assert_eq!(shown(51, 0, 0).drift(&stock.known(0), &stock.known(0)), 1);
        stock.settle(&Movement::Delivery(0, 50), true);
        let sale = Movement::Sale(vec![(0, 2), (1, 1)]);
        stock.ask(&sale);
        for (held, sold, drift) in [(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 3, 1)] {
            assert_eq!(shown(50, held, sold).drift(&stock.known(0), &stock.known(0)), drift, "{held} {sold}");
        }
        stock.settle(&sale, true);
        for (held, sold, drift) in [(0, 0, 2), (2, 0, 0), (0, 2, 0), (1, 0, 1)] {
            assert_eq!(shown(50, held, sold).drift(&stock.known(0), &stock.known(0)), drift, "{held} {sold}");
        }
        stock.ask(&sale);
        stock.settle(&sale, false);
        assert_eq!(shown(50, 0, 2).drift_at_rest(&stock.known(0)), 0, "it was refused");
        let back = Movement::Return(vec![(0, 2)]);
        for is_asked in [true, false] {
            if is_asked {
                stock.ask(&back);
            } else {
                stock.settle(&back, true);
            }
            for (sold, drift) in [(0, 0), (2, 0), (3, 1)] {
                assert_eq!(shown(50, 0, sold).drift(&stock.known(0), &stock.known(0)), drift, "{is_asked} {sold}");
            }
        }
        assert_eq!(stock.known(0).stock(), 50);
        for (sold, drift) in [(0, 0), (2, 2)] {
            assert_eq!(shown(50, 0, sold).drift_at_rest(&stock.known(0)), drift, "{sold}");
        }
    }

    #[test]
    fn the_worst_drift_stays_and_a_lost_product_counts_once() {
        let stock = Stock::of(2);
        stock.note_drift(0, 3);
        stock.note_drift(0, 1);
        stock.note_drift(1, 2);
        assert_eq!(stock.drift(), 5);
        assert!(stock.note_gone(1) && !stock.note_gone(1));
        assert_eq!(stock.present(), [0]);
    }
}
