//! The lists that an order is in: that of all orders of its shard, and that of its customer. A list is a run of records in
//! the order of their keys, the newest order first, so that storage reads a page of it in one go.

use std::ops::RangeInclusive;

use crate::domain::order::Facts;
use crate::routing::{KeyHash, OrderId, Slot};

/// The length of an order's id within a list.
const ID_BYTES: usize = 16;

/// The owner of the list of all orders of a shard: the first hash of its slots.
pub fn of_shard(slots: &RangeInclusive<u16>) -> KeyHash {
    KeyHash::from_bits(Slot(*slots.start()).hashes().start)
}

/// The owners of the lists that an order is in. Each list has one entry for it.
pub fn owners(order: &Facts, slots: &RangeInclusive<u16>) -> impl Iterator<Item = KeyHash> {
    let customers = order.customer.as_ref().map(|customer| customer.hash());
    std::iter::once(of_shard(slots)).chain(customers)
}

/// The id of an order's entry. Order ids begin with their time, and the ids of entries are their complement: so the newest
/// order comes first, and orders of one millisecond have one order on every shard.
pub fn entry_id(order: OrderId) -> [u8; ID_BYTES] {
    order.as_bytes().map(|byte| !byte)
}

/// The order of an entry; `None` when the bytes are no entry's id.
pub fn order_of(entry: &[u8]) -> Option<OrderId> {
    let bytes: [u8; ID_BYTES] = entry.try_into().ok()?;
    OrderId::from_bytes(bytes.map(|byte| !byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_orders_come_first_and_are_found_again() {
        let ids =
            [(9, 0), (8, u128::MAX), (8, 0), (0, 0)].map(|(millis, random)| OrderId::new(Slot(5), millis, random));
        assert!(ids.map(entry_id).is_sorted());
        assert_eq!(ids.map(|id| order_of(&entry_id(id))), ids.map(Some));
        assert_eq!((order_of(b"short"), order_of(&[0; ID_BYTES])), (None, None));
    }
}
