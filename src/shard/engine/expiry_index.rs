//! An in-memory index of idempotency records or settlements, which expire. With it a new idempotency key costs no
//! disk read, and a sweep finds the expired records. The records themselves are in storage.

use std::collections::VecDeque;

use super::split_table::SplitTable;
use crate::domain::time::Timestamp;
use crate::routing::KeyHash;
use crate::storage::DigestId;

/// The most live records of one kind on one shard. Past that, a request that needs one more is refused.
pub const MAX_LIVE: usize = 1_000_000;
/// The most entries of the queue, with those of forgotten records. Past that these are removed, which takes a moment.
const MAX_QUEUED: usize = 2 * MAX_LIVE;
/// The lifetime of a record, in microseconds: 24 hours.
pub const LIFETIME_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The time at which a record written at `now` expires. Where a timestamp cannot hold it, the record expires at once.
pub fn end_of_life(now: Timestamp) -> Timestamp {
    Timestamp::from_micros(now.micros() + LIFETIME_MICROS).unwrap_or(now)
}

/// A live record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// The hash of the record's owner.
    pub hash: KeyHash,
    /// The record's id.
    pub id: DigestId,
    /// The time at which it expires, in whole seconds since the epoch, rounded up.
    expires_at: u32,
    /// A note for whoever counts the records.
    pub note: u32,
}

impl Expiry {
    /// The time from `now` until it expires, in whole seconds, rounded up.
    pub fn seconds_left(&self, now: Timestamp) -> u32 {
        let left = i64::from(self.expires_at) - now.micros().div_euclid(1_000_000);
        u32::try_from(left).unwrap_or(0)
    }
}

/// All live records of a kind in the order of their expiry, about 40 bytes each.
#[derive(Default)]
pub struct ExpiryIndex {
    queue: VecDeque<Expiry>,
    /// The position in the queue of each live record, counted from the first record ever added. A record that was
    /// forgotten or added again leaves a stale entry at its old position.
    by_id: SplitTable<u32>,
    /// The position of the queue's front. Positions wrap around, since there are never 2^32 entries at once.
    front: u32,
}

impl ExpiryIndex {
    /// True when a record is live.
    pub fn contains(&self, id: DigestId) -> bool {
        self.by_id.find(id.table_hash(), |at| self.at(*at).id == id).is_some()
    }

    /// True when there is no room for another record.
    pub fn is_full(&self) -> bool {
        self.count() >= MAX_LIVE
    }

    /// The count of live records.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Adds a record, or extends its lifetime. Each record must expire no earlier than the last one added; if the clock
    /// was set back, it is kept until then.
    pub fn insert(&mut self, hash: KeyHash, id: DigestId, expires_at: Timestamp, note: u32) {
        self.forget(id);
        if self.queue.len() >= MAX_QUEUED {
            self.drop_forgotten();
        }
        let seconds = u32::try_from(expires_at.micros().div_euclid(1_000_000) + 1).unwrap_or(u32::MAX);
        let latest = self.queue.back().map_or(0, |live| live.expires_at);
        self.push(Expiry { hash, id, expires_at: seconds.max(latest), note });
    }

    fn push(&mut self, live: Expiry) {
        let position = self.front.wrapping_add(self.queue.len() as u32);
        self.queue.push_back(live);
        let (queue, front) = (&self.queue, self.front);
        let rehash = |at: &u32| queue[at.wrapping_sub(front) as usize].id.table_hash();
        self.by_id.put(live.id.table_hash(), position, |_| false, rehash);
    }

    fn drop_forgotten(&mut self) {
        let old = std::mem::take(self);
        old.live(|_| true).for_each(|live| self.push(*live));
    }

    /// The live records that count, in the order of their expiry.
    fn live(&self, counts: impl Fn(&Expiry) -> bool) -> impl Iterator<Item = &Expiry> {
        let is_live = move |(at, live): &(usize, &Expiry)| {
            let position = self.front.wrapping_add(*at as u32);
            counts(live) && self.by_id.find(live.id.table_hash(), |other| *other == position).is_some()
        };
        self.queue.iter().enumerate().filter(is_live).map(|(_, live)| live)
    }

    /// Forgets a record, and returns it if it was live.
    pub fn forget(&mut self, id: DigestId) -> Option<Expiry> {
        let (queue, front) = (&self.queue, self.front);
        let position = self.by_id.remove(id.table_hash(), |at| queue[at.wrapping_sub(front) as usize].id == id)?;
        Some(*self.at(position))
    }

    /// The live record that expires first among those that count. This looks at one after the other.
    pub fn first(&self, counts: impl Fn(&Expiry) -> bool) -> Option<Expiry> {
        self.live(counts).next().copied()
    }

    /// Removes and returns the next expired record.
    pub fn pop_expired(&mut self, now: Timestamp) -> Option<Expiry> {
        loop {
            let live = *self.queue.front().filter(|live| i64::from(live.expires_at) * 1_000_000 <= now.micros())?;
            let front = self.front;
            let was_live = self.by_id.remove(live.id.table_hash(), |at| *at == front).is_some();
            self.queue.pop_front();
            self.front = front.wrapping_add(1);
            if was_live {
                return Some(live);
            }
        }
    }

    fn at(&self, position: u32) -> &Expiry {
        &self.queue[position.wrapping_sub(self.front) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RecordKind;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_key_is_known_until_it_expires() {
        let mut keys = ExpiryIndex { front: u32::MAX - 1, ..ExpiryIndex::default() };
        let ids: Vec<_> = (0..5).map(|n| DigestId::new(RecordKind::Cart, b"alice", &[n])).collect();
        for (n, id) in ids.iter().enumerate() {
            assert!(!keys.contains(*id));
            keys.insert(KeyHash::of("alice"), *id, at(10 + n as i64), 0);
        }
        assert_eq!(keys.pop_expired(at(10)), None);
        assert_eq!(keys.pop_expired(at(11)).unwrap().id, ids[0]);
        assert!(!keys.contains(ids[0]));
        assert!(ids[1..].iter().all(|id| keys.contains(*id)));
        assert_eq!(std::iter::from_fn(|| keys.pop_expired(at(100))).count(), 4);
        assert_eq!(keys.count(), 0);
    }

    #[test]
    fn an_extended_or_forgotten_record_does_not_expire_at_its_first_time() {
        let mut records = ExpiryIndex::default();
        let ids: Vec<_> = (0..3).map(|n| DigestId::new(RecordKind::Cart, b"alice", &[n])).collect();
        ids.iter().for_each(|id| records.insert(KeyHash::of("alice"), *id, at(10), 0));
        records.insert(KeyHash::of("alice"), ids[0], at(20), 0);
        assert!(records.forget(ids[1]).is_some() && records.forget(ids[1]).is_none());
        assert_eq!(records.first(|_| true).unwrap().id, ids[2]);
        assert_eq!(records.count(), 2);
        assert_eq!(records.pop_expired(at(15)).unwrap().id, ids[2]);
        assert_eq!(records.pop_expired(at(15)), None);
        assert!(records.contains(ids[0]) && !records.contains(ids[1]));
        assert_eq!(records.pop_expired(at(30)).unwrap().id, ids[0]);
    }

    #[test]
    fn forgotten_records_take_no_room_for_ever() {
        let mut records = ExpiryIndex { front: u32::MAX - 7, ..ExpiryIndex::default() };
        let ids: Vec<_> = (0..3).map(|n| DigestId::new(RecordKind::Cart, b"alice", &[n])).collect();
        records.insert(KeyHash::of("alice"), ids[0], at(10), 0);
        records.insert(KeyHash::of("alice"), ids[1], at(20), 0);
        let forgotten = records.queue[0];
        records.insert(KeyHash::of("alice"), ids[0], at(20), 0);
        records.queue.extend(std::iter::repeat_n(forgotten, MAX_QUEUED - 3));
        records.insert(KeyHash::of("alice"), ids[2], at(30), 0);
        assert!(!records.is_full() && records.queue.len() == 3);
        let expired = std::iter::from_fn(|| records.pop_expired(at(40))).map(|live| live.id);
        assert_eq!(expired.collect::<Vec<_>>(), [ids[1], ids[0], ids[2]]);
        assert_eq!((records.count(), records.queue.len()), (0, 0));
    }

    #[test]
    fn a_live_key_takes_32_bytes_in_the_queue() {
        assert_eq!(size_of::<Expiry>(), 32);
    }
}
