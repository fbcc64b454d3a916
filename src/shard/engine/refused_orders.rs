//! The refused orders that a shard keeps, by age, with their bytes: anybody can cause them, so they are limited.

use std::collections::BTreeMap;

use crate::routing::OrderId;

/// The closed orders that were refused, as far as they were found, oldest first: their ids begin with the time. Limited in
/// bytes, they are limited in number.
#[derive(Default)]
pub struct RefusedOrders {
    bytes_of: BTreeMap<OrderId, u32>,
    bytes: u64,
}

impl RefusedOrders {
    /// Adds an order with a record of so many bytes. One that is there already stays as it is.
    pub fn insert(&mut self, order: OrderId, record_bytes: usize) {
        let bytes = u32::try_from(record_bytes).unwrap_or(u32::MAX);
        self.bytes_of.entry(order).or_insert_with(|| {
            self.bytes += u64::from(bytes);
            bytes
        });
    }

    /// Removes an order. True if it was there.
    pub fn remove(&mut self, order: OrderId) -> bool {
        let removed = self.bytes_of.remove(&order);
        self.bytes -= removed.map_or(0, u64::from);
        removed.is_some()
    }

    /// The oldest orders without which the others have at most `most_bytes`; at most `limit` of them.
    pub fn oldest_past(&self, most_bytes: u64, limit: usize) -> Vec<OrderId> {
        let mut bytes = self.bytes;
        let is_past = |(_, of_one): &(&OrderId, &u32)| {
            let is_past = bytes > most_bytes;
            bytes -= u64::from(**of_one);
            is_past
        };
        self.bytes_of.iter().take(limit).take_while(is_past).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Slot;

    #[test]
    fn the_oldest_are_past_the_limit() {
        let ids = [3, 1, 2].map(|millis| OrderId::new(Slot(9), millis, 0));
        let mut orders = RefusedOrders::default();
        ids.into_iter().chain(ids).for_each(|id| orders.insert(id, 100));
        let past = |orders: &RefusedOrders, bytes| orders.oldest_past(bytes, 10);
        assert_eq!(past(&orders, 300), []);
        assert_eq!(past(&orders, 299), [ids[1]]);
        assert_eq!(past(&orders, 100), [ids[1], ids[2]]);
        assert_eq!((past(&orders, 0).len(), orders.oldest_past(0, 2).len()), (3, 2));
        assert!(orders.remove(ids[1]) && !orders.remove(ids[1]));
        assert_eq!((past(&orders, 200), past(&orders, 199)), (vec![], vec![ids[2]]));
    }
}
