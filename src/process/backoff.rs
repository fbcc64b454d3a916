//! Pauses between the attempts of one call: exponential back-off with full jitter (AWS Architecture Blog,
//! "Exponential Backoff And Jitter", 2015), added to what the server asks for, since it tells all clients the same.

use std::time::Duration;

/// The part of the pause that a server asks for over which its clients are spread at least.
const SPREAD: u32 = 4;

/// The pauses of one call.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// The longest next pause.
    longest: Duration,
    limit: Duration,
}

impl Backoff {
    /// Pauses of at most `first`, then at most twice that, and so on up to `limit`.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Backoff { longest: first, limit }
    }

    /// The next pause: `at_least`, and a random time below the present limit or, if that is more, a quarter of it.
    pub fn next(&mut self, at_least: Duration) -> Duration {
        let pause = self.longest.max(at_least / SPREAD).mul_f64(jitter());
        self.longest = (self.longest * 2).min(self.limit);
        at_least.saturating_add(pause)
    }
}

/// A number from 0 to 1, random enough to keep clients apart.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LIMIT: Duration = Duration::from_secs(2);

    #[test]
    fn pauses_grow_to_a_limit() {
        for _ in 0..100 {
            let mut backoff = Backoff::new(FIRST, LIMIT);
            assert!(backoff.next(Duration::ZERO) <= FIRST);
            assert!(backoff.next(Duration::ZERO) <= FIRST * 2);
            assert!((0..100).all(|_| backoff.next(Duration::ZERO) <= LIMIT));
        }
    }

    #[test]
    fn pauses_are_never_shorter_than_asked_and_differ() {
        let asked = LIMIT * 10;
        let pauses: Vec<_> = (0..100).map(|_| Backoff::new(FIRST, LIMIT).next(asked)).collect();
        let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*shortest >= asked && *longest <= asked + asked / SPREAD, "{shortest:?} {longest:?}");
        assert!(*longest >= *shortest + asked / SPREAD / 2, "{shortest:?} {longest:?}");
    }
}
