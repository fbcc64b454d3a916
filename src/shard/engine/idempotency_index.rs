//! The idempotency keys that a shard knows: those with a stored reply, which expire, and those whose order is still being
//! worked on, which last as long as it does.

use std::collections::HashSet;

use super::expiry_index::{Expiry, ExpiryIndex, MAX_LIVE};
use crate::domain::time::Timestamp;
use crate::routing::KeyHash;
use crate::storage::DigestId;

/// The live idempotency keys.
#[derive(Default)]
pub struct IdempotencyIndex {
    answered: ExpiryIndex,
    in_flight: HashSet<DigestId>,
}

impl IdempotencyIndex {
    /// An index of keys that have a reply; none is in flight.
    pub fn of(answered: ExpiryIndex) -> Self {
        IdempotencyIndex { answered, in_flight: HashSet::new() }
    }

    /// True when a key is live.
    pub fn contains(&self, id: DigestId) -> bool {
        self.answered.contains(id) || self.in_flight.contains(&id)
    }

    /// True when there is no room for another key.
    pub fn is_full(&self) -> bool {
        self.answered.is_full() || self.count() >= MAX_LIVE
    }

    /// The count of live keys.
    pub fn count(&self) -> usize {
        self.answered.count() + self.in_flight.len()
    }

    /// Adds a key whose request has no reply yet. It does not expire.
    pub fn begin(&mut self, id: DigestId) {
        self.in_flight.insert(id);
    }

    /// Adds a key with a reply, or one whose request has a reply now.
    pub fn answer(&mut self, hash: KeyHash, id: DigestId, expires_at: Timestamp) {
        self.in_flight.remove(&id);
        self.answered.insert(hash, id, expires_at);
    }

    /// Forgets a key.
    pub fn forget(&mut self, id: DigestId) {
        self.in_flight.remove(&id);
        self.answered.forget(id);
    }

    /// Removes and returns the next expired key.
    pub fn pop_expired(&mut self, now: Timestamp) -> Option<Expiry> {
        self.answered.pop_expired(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RecordKind;

    #[test]
    fn a_key_in_flight_does_not_expire_until_it_is_answered() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).unwrap();
        let id = DigestId::new(RecordKind::Cart, b"alice", b"key");
        let mut keys = IdempotencyIndex::default();
        keys.begin(id);
        assert_eq!(keys.pop_expired(at(4_000_000_000)), None);
        assert!(keys.contains(id));
        assert_eq!(keys.count(), 1);
        keys.answer(KeyHash::of("alice"), id, at(10));
        assert_eq!(keys.count(), 1);
        assert_eq!(keys.pop_expired(at(11)).unwrap().id, id);
        assert!(!keys.contains(id));
        keys.begin(id);
        keys.forget(id);
        assert_eq!(keys.count(), 0);
    }
}
