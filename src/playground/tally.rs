//! What the shoppers have counted so far: how much was acknowledged, and whether the store kept its word.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::cart::Difference;

/// The most findings that are kept; the numbers go on.
const MAX_FINDINGS: usize = 20;
/// The longest finding, in characters.
const MAX_FINDING_CHARACTERS: usize = 300;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counts of all shoppers.
#[derive(Debug, Default)]
pub struct Tally {
    /// Changes that the store acknowledged.
    pub acknowledged: Counter,
    /// Requests that were sent once more.
    pub retried: Counter,
    /// Changes that the store refused, as when a product is sold out, or did not apply in time.
    pub refused: Counter,
    /// Orders that the store acknowledged.
    pub orders_created: Counter,
    /// Orders that it refused.
    pub orders_refused: Counter,
    /// Orders that it cancelled.
    pub orders_cancelled: Counter,
    /// Processes that were killed.
    pub kills: Counter,
    /// Acknowledged changes that are gone.
    pub lost: Counter,
    /// Changes that took effect more than once.
    pub applied_twice: Counter,
    /// Answers that cannot be: refusals of what is there.
    pub contradictions: Counter,
    /// Changes whose outcome is not known now.
    unknown: AtomicU64,
    /// The longest time from a request to its outcome, in milliseconds.
    longest_wait_ms: AtomicU64,
    findings: Mutex<Vec<String>>,
}

/// A change whose outcome is not known while this lives, unless it is forgotten.
pub struct UnknownOutcome<'a>(&'a Tally);

impl Drop for UnknownOutcome<'_> {
    fn drop(&mut self) {
        self.0.unknown.fetch_sub(1, Relaxed);
    }
}

impl Tally {
    /// Counts a change as unknown until the result is dropped.
    pub fn unknown_outcome(&self) -> UnknownOutcome<'_> {
        self.unknown.fetch_add(1, Relaxed);
        UnknownOutcome(self)
    }

    /// Changes whose outcome is not known now.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Relaxed)
    }

    /// Notes how long somebody has waited for an outcome.
    pub fn note_wait(&self, wait: Duration) {
        self.longest_wait_ms.fetch_max(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The longest time from a request to its outcome, in milliseconds.
    pub fn longest_wait_ms(&self) -> u64 {
        self.longest_wait_ms.load(Relaxed)
    }

    /// Counts what is lost or was applied twice, if anything is. `what` says where, for people.
    pub fn note(&self, difference: Difference, what: impl FnOnce() -> String) {
        if difference != Difference::default() {
            self.lost.add(difference.lost);
            self.applied_twice.add(difference.applied_twice);
            self.find(what());
        }
    }

    /// Counts one thing that is lost.
    pub fn note_lost(&self, what: impl FnOnce() -> String) {
        self.note(Difference { lost: 1, applied_twice: 0 }, what);
    }

    /// Keeps a text about a fault of the store.
    pub fn find(&self, mut what: String) {
        if let Some((end, _)) = what.char_indices().nth(MAX_FINDING_CHARACTERS) {
            what.truncate(end);
        }
        tracing::error!(finding = %what, "the store broke its word");
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < MAX_FINDINGS {
            findings.push(what);
        }
    }

    /// The first faults of the store, for people.
    pub fn findings(&self) -> Vec<String> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_and_the_first_ones_are_told() {
        let tally = Tally::default();
        tally.note(Difference::default(), || unreachable!("nothing is wrong"));
        for number in 0..MAX_FINDINGS as u64 + 5 {
            tally.note(Difference { lost: 2, applied_twice: 1 }, || {
                format!("{number}{}", "é".repeat(MAX_FINDING_CHARACTERS))
            });
        }
        assert_eq!((tally.lost.get(), tally.applied_twice.get()), (50, 25));
        let findings = tally.findings();
        assert_eq!(findings.len(), MAX_FINDINGS);
        assert!(findings.iter().all(|text| text.chars().count() == MAX_FINDING_CHARACTERS));
    }

    #[test]
    fn an_outcome_is_unknown_until_it_is_known() {
        let tally = Tally::default();
        let (one, other) = (tally.unknown_outcome(), tally.unknown_outcome());
        assert_eq!(tally.unknown(), 2);
        drop(one);
        assert_eq!(tally.unknown(), 1);
        drop(other);
        tally.note_wait(Duration::from_millis(70));
        tally.note_wait(Duration::from_millis(7));
        assert_eq!((tally.unknown(), tally.longest_wait_ms()), (0, 70));
    }
}
