//! Which idempotency keys are live: enough in memory to know without a read that a key is new, and
//! to find what has expired. The first answers themselves are in storage.

use std::collections::VecDeque;

use hashbrown::HashTable;
use sha2::{Digest, Sha256};

use crate::domain::time::Timestamp;
use crate::key::{KeyHash, Kind};

/// The most live keys of one shard; past that a request with a new key is refused.
pub const MAX_LIVE_KEYS: usize = 1_000_000;
/// How long a first answer is given again, in microseconds: 24 hours.
pub const LIFETIME_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

const DIGEST_BYTES: usize = 16;

/// What identifies a key within its owner: the record's id. 128 bits of SHA-256, so that two
/// meet by accident never and on purpose not within 2^64 tries; the stored fingerprint still tells
/// their requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerId(pub [u8; DIGEST_BYTES]);

impl AnswerId {
    /// The id of a key in the scope of an owner (a kind of record and its id).
    pub fn new(owner: Kind, owner_id: &str, key: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update([owner as u8]);
        digest.update((owner_id.len() as u32).to_be_bytes());
        digest.update(owner_id);
        digest.update(key);
        let digest = digest.finalize();
        let mut id = [0; DIGEST_BYTES];
        id.copy_from_slice(&digest[..DIGEST_BYTES]);
        AnswerId(id)
    }

    fn table_hash(self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// A live key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveKey {
    /// Where its owner is routed to.
    pub hash: KeyHash,
    /// Which key.
    pub id: AnswerId,
    /// When it expires, in whole seconds since the epoch, rounded up.
    expires_at: u32,
}

/// All live keys in the order in which they expire: about 40 bytes each.
#[derive(Default)]
pub struct FirstAnswers {
    queue: VecDeque<LiveKey>,
    /// Positions in the queue, counted from the first key there ever was.
    by_id: HashTable<u32>,
    /// The position of the queue's front. Positions wrap; there are never 2^32 at once.
    front: u32,
}

impl FirstAnswers {
    /// Whether a key was used and has not been forgotten.
    pub fn contains(&self, id: AnswerId) -> bool {
        self.by_id.find(id.table_hash(), |at| self.at(*at).id == id).is_some()
    }

    /// Whether there is room for one more.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= MAX_LIVE_KEYS
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.queue.len()
    }

    /// Adds a key. Keys come in the order in which they expire; should the clock go back, one may be
    /// kept longer than asked.
    pub fn insert(&mut self, hash: KeyHash, id: AnswerId, expires_at: Timestamp) {
        let seconds = u32::try_from(expires_at.micros().div_euclid(1_000_000) + 1).unwrap_or(u32::MAX);
        let latest = self.queue.back().map_or(0, |key| key.expires_at);
        let position = self.front.wrapping_add(self.queue.len() as u32);
        self.queue.push_back(LiveKey { hash, id, expires_at: seconds.max(latest) });
        let (queue, front) = (&self.queue, self.front);
        let rehash = |at: &u32| queue[at.wrapping_sub(front) as usize].id.table_hash();
        self.by_id.insert_unique(id.table_hash(), position, rehash);
    }

    /// Takes out the next key that has expired.
    pub fn pop_expired(&mut self, now: Timestamp) -> Option<LiveKey> {
        let key = *self.queue.front().filter(|key| i64::from(key.expires_at) * 1_000_000 <= now.micros())?;
        let front = self.front;
        if let Ok(entry) = self.by_id.find_entry(key.id.table_hash(), |at| *at == front) {
            entry.remove();
        }
        self.queue.pop_front();
        self.front = front.wrapping_add(1);
        Some(key)
    }

    fn at(&self, position: u32) -> &LiveKey {
        &self.queue[position.wrapping_sub(self.front) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_key_is_known_until_it_expires() {
        let mut keys = FirstAnswers { front: u32::MAX - 1, ..FirstAnswers::default() };
        let ids: Vec<_> = (0..5).map(|n| AnswerId::new(Kind::Cart, "alice", &format!("k{n}"))).collect();
        for (n, id) in ids.iter().enumerate() {
            assert!(!keys.contains(*id));
            keys.insert(KeyHash::of("alice"), *id, at(10 + n as i64));
        }
        assert_eq!(keys.pop_expired(at(10)), None);
        assert_eq!(keys.pop_expired(at(11)).unwrap().id, ids[0]);
        assert!(!keys.contains(ids[0]));
        assert!(ids[1..].iter().all(|id| keys.contains(*id)));
        assert_eq!(std::iter::from_fn(|| keys.pop_expired(at(100))).count(), 4);
        assert_eq!(keys.count(), 0);
    }

    #[test]
    fn scopes_do_not_meet() {
        let id = AnswerId::new(Kind::Cart, "ab", "c");
        assert_ne!(id, AnswerId::new(Kind::Cart, "a", "bc"));
        assert_ne!(id, AnswerId::new(Kind::Kv, "ab", "c"));
    }

    #[test]
    fn a_live_key_takes_32_bytes_in_the_queue() {
        assert_eq!(size_of::<LiveKey>(), 32);
    }
}
