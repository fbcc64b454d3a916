//! The idempotency keys that a shard knows: those whose order is not closed, which last as long as that, and all others,
//! which have a stored reply and expire. Each customer has a share of the shard's keys and of the bytes of their
//! replies, so that nobody uses up what all need.

use std::collections::{BTreeMap, HashMap};

use super::expiry_index::{Expiry, ExpiryIndex, MAX_LIVE};
use crate::domain::time::Timestamp;
use crate::routing::KeyHash;
use crate::storage::DigestId;

/// The most live keys of one customer.
pub const MAX_CUSTOMERS_KEYS: usize = 10_000;
/// The bytes of stored replies past which a customer's new keys are refused.
pub const MAX_CUSTOMERS_BYTES: u64 = 64 << 20;
/// The bytes of stored replies past which a shard refuses new keys.
pub const MAX_REPLY_BYTES: u64 = 8 << 30;
/// The time after which a refused key may find room if none of those that are in its way expires, in seconds.
const RETRY_SECONDS: u32 = 60;
/// The bit of a note that tells a customer's key. The others are the bytes of the reply.
const IS_CUSTOMERS: u32 = 1 << 31;

/// What a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyScope {
    /// The hash of the owner.
    pub owner: KeyHash,
    /// True for a customer, false for a product, an order or a delivery.
    pub is_customer: bool,
}

/// A limit that leaves no room for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// True when it is the customer's, false when it is the shard's.
    pub is_customers: bool,
    /// The time after which there is room, in seconds.
    pub retry_after: u32,
}

/// What one customer uses.
#[derive(Debug, Default)]
struct Share {
    keys: usize,
    bytes: u64,
    /// The first of the customer's records, once it had to be found.
    first: Option<Box<Expiry>>,
}

/// The live idempotency keys.
#[derive(Default)]
pub struct IdempotencyIndex {
    expiring: ExpiryIndex,
    /// Those whose order is not closed, with the bytes of their reply.
    open: HashMap<DigestId, (KeyScope, u64)>,
    /// A tree, since there may be a million: a hash table of so many stops the shard while it grows.
    shares: BTreeMap<KeyHash, Share>,
    bytes: u64,
}

fn note_of(scope: KeyScope, reply_bytes: usize) -> u32 {
    let bytes = u32::try_from(reply_bytes).unwrap_or(u32::MAX).min(IS_CUSTOMERS - 1);
    if scope.is_customer { bytes | IS_CUSTOMERS } else { bytes }
}

fn scope_of(live: &Expiry) -> KeyScope {
    KeyScope { owner: live.hash, is_customer: live.note & IS_CUSTOMERS != 0 }
}

impl IdempotencyIndex {
    /// True when a key is live.
    pub fn contains(&self, id: DigestId) -> bool {
        self.expiring.contains(id) || self.open.contains_key(&id)
    }

    /// The count of live keys.
    pub fn count(&self) -> usize {
        self.expiring.count() + self.open.len()
    }

    /// Checks that there is room for another key.
    ///
    /// # Errors
    /// [`Full`].
    pub fn check_room(&mut self, scope: KeyScope, now: Timestamp) -> Result<(), Full> {
        if self.expiring.is_full() || self.count() >= MAX_LIVE || self.bytes >= MAX_REPLY_BYTES {
            let left = self.expiring.first(|_| true).map_or(RETRY_SECONDS, |first| first.seconds_left(now));
            return Err(Full { is_customers: false, retry_after: left.max(1) });
        }
        let Some(share) = self.shares.get_mut(&scope.owner).filter(|_| scope.is_customer) else { return Ok(()) };
        if share.keys < MAX_CUSTOMERS_KEYS && share.bytes < MAX_CUSTOMERS_BYTES {
            return Ok(());
        }
        // Finding it takes a moment when there are many keys, so it is found once for as long as it is live.
        if share.first.is_none() {
            share.first = self.expiring.first(|live| scope_of(live) == scope).map(Box::new);
        }
        let left = share.first.as_ref().map_or(RETRY_SECONDS, |first| first.seconds_left(now));
        Err(Full { is_customers: true, retry_after: left.max(1) })
    }

    /// Adds a key whose request has no reply yet. It does not expire.
    pub fn begin(&mut self, scope: KeyScope, id: DigestId) {
        self.answer_open(scope, id, 0);
    }

    /// Adds a key with a reply of so many bytes whose order is not closed. It does not expire.
    pub fn answer_open(&mut self, scope: KeyScope, id: DigestId, reply_bytes: usize) {
        self.forget(id);
        self.open.insert(id, (scope, reply_bytes as u64));
        self.count_in(scope, reply_bytes as u64);
    }

    /// Lets a key expire if its order was open.
    pub fn close(&mut self, id: DigestId, expires_at: Timestamp) {
        if let Some((scope, bytes)) = self.open.get(&id) {
            self.answer(*scope, id, expires_at, *bytes as usize);
        }
    }

    /// Adds a key with a reply of so many bytes, or one whose request has a reply now.
    pub fn answer(&mut self, scope: KeyScope, id: DigestId, expires_at: Timestamp, reply_bytes: usize) {
        self.forget(id);
        let note = note_of(scope, reply_bytes);
        self.expiring.insert(scope.owner, id, expires_at, note);
        self.count_in(scope, u64::from(note & !IS_CUSTOMERS));
    }

    /// Forgets a key.
    pub fn forget(&mut self, id: DigestId) {
        if let Some((scope, bytes)) = self.open.remove(&id) {
            self.count_out(scope, bytes);
        }
        if let Some(live) = self.expiring.forget(id) {
            self.count_answer_out(&live);
        }
    }

    /// Removes and returns the next expired key.
    pub fn pop_expired(&mut self, now: Timestamp) -> Option<Expiry> {
        let expired = self.expiring.pop_expired(now)?;
        self.count_answer_out(&expired);
        Some(expired)
    }

    fn count_in(&mut self, scope: KeyScope, bytes: u64) {
        self.bytes += bytes;
        if scope.is_customer {
            let share = self.shares.entry(scope.owner).or_default();
            share.keys += 1;
            share.bytes += bytes;
        }
    }

    fn count_answer_out(&mut self, live: &Expiry) {
        self.count_out(scope_of(live), u64::from(live.note & !IS_CUSTOMERS));
        if let Some(share) = self.shares.get_mut(&live.hash)
            && share.first.as_ref().is_some_and(|first| first.id == live.id)
        {
            share.first = None;
        }
    }

    fn count_out(&mut self, scope: KeyScope, bytes: u64) {
        self.bytes -= bytes;
        if !scope.is_customer {
            return;
        }
        if let Some(share) = self.shares.get_mut(&scope.owner) {
            share.keys -= 1;
            share.bytes -= bytes;
            if share.keys == 0 {
                self.shares.remove(&scope.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RecordKind;

    fn scope(owner: u64, is_customer: bool) -> KeyScope {
        KeyScope { owner: KeyHash::from_bits(owner), is_customer }
    }

    fn alice() -> KeyScope {
        scope(1, true)
    }

    fn bob() -> KeyScope {
        scope(2, true)
    }

    /// A product whose id has the hash of Alice's.
    fn product() -> KeyScope {
        scope(1, false)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn id(number: usize) -> DigestId {
        DigestId::new(RecordKind::Cart, b"alice", &number.to_be_bytes())
    }

    #[test]
    fn a_key_in_flight_does_not_expire_until_it_is_answered() {
        let mut keys = IdempotencyIndex::default();
        keys.begin(alice(), id(0));
        assert_eq!(keys.pop_expired(at(4_000_000_000)), None);
        assert!(keys.contains(id(0)));
        assert_eq!(keys.count(), 1);
        keys.answer(alice(), id(0), at(10), 5);
        assert_eq!(keys.count(), 1);
        assert_eq!(keys.pop_expired(at(11)).unwrap().id, id(0));
        assert!(!keys.contains(id(0)));
        keys.begin(alice(), id(0));
        keys.forget(id(0));
        assert_eq!(keys.count(), 0);
        assert!(keys.shares.is_empty() && keys.bytes == 0);
    }

    #[test]
    fn an_answered_key_of_an_open_order_expires_after_its_close() {
        let mut keys = IdempotencyIndex::default();
        keys.begin(alice(), id(0));
        keys.answer_open(alice(), id(0), 5);
        assert_eq!((keys.pop_expired(at(4_000_000_000)), keys.count(), keys.bytes), (None, 1, 5));
        keys.close(id(0), at(10));
        assert_eq!((keys.pop_expired(at(9)), keys.count(), keys.bytes), (None, 1, 5));
        // One that expires is not open, so it keeps its time.
        keys.close(id(0), at(20));
        assert_eq!(keys.pop_expired(at(11)).unwrap().id, id(0));
        assert!(keys.shares.is_empty() && keys.bytes == 0);
    }

    #[test]
    fn a_customer_has_a_share_of_the_keys() {
        let mut keys = IdempotencyIndex::default();
        keys.answer(bob(), id(MAX_CUSTOMERS_KEYS), at(5), 9);
        for number in 0..MAX_CUSTOMERS_KEYS {
            assert_eq!(keys.check_room(alice(), at(1)), Ok(()));
            keys.answer(alice(), id(number), at(20 + number as i64), 9);
        }
        let full = |retry_after| Err(Full { is_customers: true, retry_after });
        assert_eq!(keys.check_room(alice(), at(1)), full(20));
        assert_eq!(keys.check_room(alice(), at(11)), full(10));
        assert_eq!((keys.check_room(bob(), at(1)), keys.check_room(product(), at(1))), (Ok(()), Ok(())));
        // Forgotten and expired keys give back their room.
        keys.forget(id(0));
        assert_eq!(keys.check_room(alice(), at(11)), Ok(()));
        keys.begin(alice(), id(0));
        assert_eq!(keys.check_room(alice(), at(11)), full(11));
        while keys.pop_expired(at(22)).is_some() {}
        assert_eq!(keys.check_room(alice(), at(22)), Ok(()));
    }

    #[test]
    fn replies_are_limited_in_bytes() {
        let mut keys = IdempotencyIndex::default();
        let large = (MAX_CUSTOMERS_BYTES / 64) as usize;
        for number in 0..64 {
            assert_eq!(keys.check_room(alice(), at(1)), Ok(()));
            keys.answer(alice(), id(number), at(100), large);
        }
        assert_eq!(keys.check_room(alice(), at(1)), Err(Full { is_customers: true, retry_after: 100 }));
        for customer in 1..MAX_REPLY_BYTES / MAX_CUSTOMERS_BYTES {
            let scope = scope(10 + customer, true);
            for number in 0..64 {
                keys.answer(scope, id(1_000 * customer as usize + number), at(200), large);
            }
        }
        assert_eq!(keys.check_room(bob(), at(1)), Err(Full { is_customers: false, retry_after: 100 }));
        while keys.pop_expired(at(101)).is_some() {}
        assert_eq!(keys.check_room(bob(), at(101)), Ok(()));
    }

    #[test]
    fn forgotten_keys_do_not_count() {
        let mut keys = IdempotencyIndex::default();
        for number in 0..MAX_LIVE {
            keys.answer(product(), id(number), at(100), 1);
        }
        assert!(keys.check_room(product(), at(1)).is_err());
        keys.forget(id(7));
        assert_eq!(keys.check_room(product(), at(1)), Ok(()));
    }
}
