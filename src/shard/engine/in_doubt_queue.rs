//! The reservations that are in doubt: held for an order whose home is another shard, and not settled yet. Each
//! waits here until the home is asked for the order's decision.

use std::collections::VecDeque;

use crate::domain::time::Timestamp;
use crate::routing::KeyHash;
use crate::storage::DigestId;

/// The time from a hold, or from the last question, until an order's home is asked, in microseconds.
pub const ASK_INTERVAL_MICROS: i64 = 2_000_000;

/// A reservation whose order's home is another shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InDoubt {
    /// The hash of the product.
    pub hash: KeyHash,
    /// The reservation's id.
    pub id: DigestId,
    ask_at: Timestamp,
}

/// The reservations in doubt, in the order in which they are asked about. One that was settled meanwhile stays until
/// its turn comes.
#[derive(Default)]
pub struct InDoubtQueue(VecDeque<InDoubt>);

impl InDoubtQueue {
    /// Adds a reservation that was just held, or that is about to be asked about.
    pub fn push(&mut self, hash: KeyHash, id: DigestId, now: Timestamp) {
        let ask_at = Timestamp::from_micros(now.micros() + ASK_INTERVAL_MICROS).unwrap_or(now);
        self.0.push_back(InDoubt { hash, id, ask_at });
    }

    /// Removes and returns the next reservation that is due. One whose turn is further away than a whole interval was added
    /// before the clock was set back.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<InDoubt> {
        let is_due = |next: &InDoubt| !(1..=ASK_INTERVAL_MICROS).contains(&(next.ask_at.micros() - now.micros()));
        self.0.front().is_some_and(is_due).then(|| self.0.pop_front())?
    }
}
