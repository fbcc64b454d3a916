//! The counts of a shard's decided orders. Closed orders are on disk only, so the counts are stored, with each commit that
//! changes them.

use crate::domain::order::{OrderCounts, OrderStatus};

/// The counts, and whether they have changed since they were stored.
#[derive(Debug, Default)]
pub struct OrderTally {
    counts: OrderCounts,
    is_changed: bool,
}

impl OrderTally {
    /// The counts as they were stored.
    pub fn stored(counts: OrderCounts) -> Self {
        OrderTally { counts, is_changed: false }
    }

    /// Counts that were not stored yet.
    pub fn found(counts: OrderCounts) -> Self {
        OrderTally { counts, is_changed: true }
    }

    /// Adds an order that is in this state now.
    pub fn enter(&mut self, status: OrderStatus) {
        self.counts.enter(status);
        self.is_changed = true;
    }

    /// Takes out an order that was in this state.
    pub fn leave(&mut self, status: OrderStatus) {
        self.counts.leave(status);
        self.is_changed = true;
    }

    /// The counts.
    pub fn counts(&self) -> OrderCounts {
        self.counts
    }

    /// The counts, if they are to be stored with the next commit.
    pub fn take_changed(&mut self) -> Option<OrderCounts> {
        std::mem::take(&mut self.is_changed).then_some(self.counts)
    }
}
