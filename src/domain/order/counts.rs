//! The decided orders of a shard by their state.

use super::record::OrderStatus;

/// How many decided orders there are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderCounts {
    /// Those that were created and not cancelled.
    pub created: u64,
    /// Those that were refused and not removed since.
    pub refused: u64,
    /// Those that were created and cancelled.
    pub cancelled: u64,
}

impl OrderCounts {
    /// Adds an order that is in this state now. Undecided ones are not counted here.
    pub fn enter(&mut self, status: OrderStatus) {
        if let Some(count) = self.of(status) {
            *count += 1;
        }
    }

    /// Takes out an order that was in this state.
    pub fn leave(&mut self, status: OrderStatus) {
        if let Some(count) = self.of(status) {
            *count = count.saturating_sub(1);
        }
    }

    /// Adds the counts of another shard.
    pub fn add(&mut self, other: OrderCounts) {
        self.created += other.created;
        self.refused += other.refused;
        self.cancelled += other.cancelled;
    }

    fn of(&mut self, status: OrderStatus) -> Option<&mut u64> {
        match status {
            OrderStatus::Pending => None,
            OrderStatus::Created => Some(&mut self.created),
            OrderStatus::Refused => Some(&mut self.refused),
            OrderStatus::Cancelled => Some(&mut self.cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_count() {
        let mut counts = OrderCounts::default();
        for status in (0..=u8::MAX).filter_map(|number| OrderStatus::try_from(number).ok()) {
            counts.enter(status);
        }
        assert_eq!(counts, OrderCounts { created: 1, refused: 1, cancelled: 1 });
        counts.enter(OrderStatus::Created);
        counts.leave(OrderStatus::Refused);
        counts.leave(OrderStatus::Pending);
        counts.add(counts);
        assert_eq!(counts, OrderCounts { created: 4, refused: 0, cancelled: 2 });
    }
}
