//! Pauses between the attempts of one call: exponential back-off with full jitter (AWS Architecture Blog,
//! "Exponential Backoff And Jitter", 2015), but never shorter than the server asks for.

use std::time::Duration;

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

    /// The next pause: random below the present limit, but at least `at_least`.
    pub fn next(&mut self, at_least: Duration) -> Duration {
        let pause = self.longest.mul_f64(jitter());
        self.longest = (self.longest * 2).min(self.limit);
        pause.max(at_least)
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
    fn pauses_grow_to_a_limit_and_are_never_shorter_than_asked() {
        for _ in 0..100 {
            let mut backoff = Backoff::new(FIRST, LIMIT);
            assert!(backoff.next(Duration::ZERO) <= FIRST);
            assert!(backoff.next(Duration::ZERO) <= FIRST * 2);
            assert!((0..100).all(|_| backoff.next(Duration::ZERO) <= LIMIT));
            assert_eq!(backoff.next(LIMIT * 10), LIMIT * 10);
        }
    }
}
