//! Requests of a session that wait until there is room for their replies. Such a reply comes later, may be large, and is not
//! known when its wait begins; meanwhile the session goes on with other requests.

use std::collections::VecDeque;

use prost::Message as _;

use super::asked::Asked;
use crate::protocol::encode_request;
use crate::shard::engine::Awaited;

/// The most requests of a session that wait for room, and the bytes of them past which none is added.
const MAX_DEFERRED: usize = 256;
const MAX_DEFERRED_BYTES: usize = 1 << 20;

/// The kinds of replies that come later for which there is room.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// For replies that wait for the end of an order's work.
    pub orders: bool,
    /// For replies that wait for a read of storage.
    pub reads: bool,
}

impl Room {
    /// True when there is room for a reply.
    pub fn is_for(self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::Commit => true,
            Awaited::Order => self.orders,
            Awaited::Storage => self.reads,
        }
    }
}

/// The requests that wait for room, each kind in order of arrival.
#[derive(Default)]
pub struct Deferred {
    orders: VecDeque<Asked>,
    reads: VecDeque<Asked>,
    bytes: usize,
}

impl Deferred {
    /// True when no further request may wait.
    pub fn is_full(&self) -> bool {
        self.orders.len() + self.reads.len() >= MAX_DEFERRED || self.bytes >= MAX_DEFERRED_BYTES
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.reads.is_empty()
    }

    /// True when there is room for the reply to a request that waits.
    pub fn has_next(&self, room: Room) -> bool {
        (room.orders && !self.orders.is_empty()) || (room.reads && !self.reads.is_empty())
    }

    /// Lets a request wait for room.
    pub fn push(&mut self, awaited: Awaited, mut asked: Asked) {
        asked.deferred_bytes = encode_request(&asked.request).encoded_len().max(1);
        self.bytes += asked.deferred_bytes;
        match awaited {
            Awaited::Order => self.orders.push_back(asked),
            Awaited::Commit | Awaited::Storage => self.reads.push_back(asked),
        }
    }

    /// Takes the next request for whose reply there is room.
    pub fn next(&mut self, room: Room) -> Option<Asked> {
        let order = if room.orders { self.orders.pop_front() } else { None };
        let asked = match order {
            None if room.reads => self.reads.pop_front(),
            order => order,
        }?;
        self.bytes -= asked.deferred_bytes;
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::{Command, Request};

    fn asked(id: u64) -> Asked {
        Asked { id, request: Request::new(Command::Ping), deadline: Duration::ZERO, since: None, deferred_bytes: 0 }
    }

    #[test]
    fn requests_leave_in_order_once_there_is_room_for_their_kind() {
        let mut deferred = Deferred::default();
        for id in 1..=4 {
            deferred.push(if id % 2 == 0 { Awaited::Order } else { Awaited::Storage }, asked(id));
        }
        let [none, orders, reads] =
            [(false, false), (true, false), (false, true)].map(|(orders, reads)| Room { orders, reads });
        assert!(!deferred.has_next(none) && deferred.has_next(orders) && deferred.has_next(reads));
        let mut next = |room| deferred.next(room).map(|asked| asked.id);
        assert_eq!(
            [reads, none, orders, orders, orders, reads].map(&mut next),
            [Some(1), None, Some(2), Some(4), None, Some(3)]
        );
        assert!(deferred.is_empty() && deferred.bytes == 0);
    }

    #[test]
    fn they_are_limited_in_number() {
        let mut deferred = Deferred::default();
        for id in 0..MAX_DEFERRED as u64 {
            assert!(!deferred.is_full());
            deferred.push(Awaited::Storage, asked(id));
        }
        assert!(deferred.is_full());
    }
}
