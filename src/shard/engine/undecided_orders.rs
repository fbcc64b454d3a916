//! The orders that are not decided, by age: enough to tell the oldest one without a look at every record.

use std::collections::BTreeSet;

use crate::routing::OrderId;

/// The undecided orders of a shard, oldest first: their ids begin with the time. There are at most as many as open orders.
#[derive(Default)]
pub struct UndecidedOrders(BTreeSet<OrderId>);

impl UndecidedOrders {
    /// Adds an order that was placed.
    pub fn insert(&mut self, order: OrderId) {
        self.0.insert(order);
    }

    /// Removes an order that is decided. True if it was there.
    pub fn remove(&mut self, order: OrderId) -> bool {
        self.0.remove(&order)
    }

    /// The number of undecided orders.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The oldest one.
    pub fn oldest(&self) -> Option<OrderId> {
        self.0.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Slot;

    #[test]
    fn the_first_one_placed_is_the_oldest() {
        let ids = [(3, 9), (1, 7), (2, 8)].map(|(millis, slot)| OrderId::new(Slot(slot), millis, 0));
        let mut orders = UndecidedOrders::default();
        ids.into_iter().for_each(|id| orders.insert(id));
        assert_eq!((orders.count(), orders.oldest()), (3, Some(ids[1])));
        assert!(orders.remove(ids[1]) && !orders.remove(ids[1]));
        assert_eq!((orders.count(), orders.oldest()), (2, Some(ids[2])));
    }
}
