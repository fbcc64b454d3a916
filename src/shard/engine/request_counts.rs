//! Counts of the requests that a shard was sent: by class and by slot. Only the thread that has the writer counts, so they
//! are plain numbers.

use crate::protocol::RequestClass;
use crate::routing::{KeyHash, SLOTS};

/// The number of requests whose slots are counted together. One by one, each would wait for another line of memory.
const COUNTED_TOGETHER: usize = 256;

/// The requests since the start of the process.
pub struct RequestCounts {
    /// The reads.
    pub reads: u64,
    /// The writes that are not about orders.
    pub writes: u64,
    /// The requests that place or change orders.
    pub orders: u64,
    /// The requests of each slot but for the latest. A count starts over at its end.
    slots: Box<[u32]>,
    /// The slots of the latest requests.
    latest: Vec<u16>,
}

impl Default for RequestCounts {
    fn default() -> Self {
        let slots = vec![0; usize::from(SLOTS)].into_boxed_slice();
        RequestCounts { reads: 0, writes: 0, orders: 0, slots, latest: Vec::with_capacity(COUNTED_TOGETHER) }
    }
}

impl RequestCounts {
    /// Counts a request. `owner` is the hash that routed it, if it has one.
    pub fn note(&mut self, class: RequestClass, owner: Option<KeyHash>) {
        match class {
            RequestClass::Read => self.reads += 1,
            RequestClass::Write => self.writes += 1,
            RequestClass::Order => self.orders += 1,
        }
        if let Some(owner) = owner {
            self.latest.push(owner.slot().0);
            if self.latest.len() == COUNTED_TOGETHER {
                count(&mut self.slots, &self.latest);
                self.latest.clear();
            }
        }
    }

    /// The requests of each slot.
    pub fn slots(&self) -> Box<[u32]> {
        let mut slots = self.slots.clone();
        count(&mut slots, &self.latest);
        slots
    }
}

fn count(slots: &mut [u32], requests: &[u16]) {
    for slot in requests {
        let count = &mut slots[usize::from(*slot)];
        *count = count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_in_its_class_and_slot() {
        let mut counts = RequestCounts::default();
        let owner = KeyHash::of("alice");
        counts.note(RequestClass::Read, Some(owner));
        counts.note(RequestClass::Order, Some(owner));
        counts.note(RequestClass::Read, None);
        assert_eq!((counts.reads, counts.writes, counts.orders), (2, 0, 1));
        assert_eq!(counts.slots()[usize::from(owner.slot().0)], 2);
        assert_eq!(counts.slots().iter().sum::<u32>(), 2);
        (0..3 * COUNTED_TOGETHER).for_each(|_| counts.note(RequestClass::Write, Some(owner)));
        assert_eq!(counts.slots()[usize::from(owner.slot().0)], 2 + 3 * COUNTED_TOGETHER as u32);
        assert_eq!(counts.latest.len(), 2);
    }
}
