//! The pauses between the attempts to open a session.

use std::time::Duration;

use crate::process::backoff::Backoff;

/// The longest pause after a failed attempt, and after the first of some sessions that break soon. A restarted shard is
/// soon found, and one that is down costs few system calls.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);
/// The longest pause after sessions that break soon after they were opened.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The time after which a session did not break soon.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// The pauses of one session.
#[derive(Debug)]
pub struct Pauses {
    after_sessions: Backoff,
    after_failures: Backoff,
}

impl Pauses {
    /// Pauses that are short until sessions break soon.
    pub fn new() -> Self {
        Pauses {
            after_sessions: Backoff::new(RECONNECT_INTERVAL, LONGEST_PAUSE),
            after_failures: Backoff::new(RECONNECT_INTERVAL / 2, RECONNECT_INTERVAL / 2),
        }
    }

    /// The pause after a session that was up for so long.
    pub fn after_session(&mut self, up: Duration) -> Duration {
        if up >= STABLE_AFTER {
            *self = Self::new();
        }
        self.after_sessions.next(Duration::ZERO)
    }

    /// The pause after a failed attempt: half of the interval or more, and random, so that many clients do not come at
    /// once.
    pub fn after_failure(&mut self) -> Duration {
        self.after_failures.next(RECONNECT_INTERVAL / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_sessions_break_soon() {
        let mut pauses = Pauses::new();
        assert!(pauses.after_session(Duration::ZERO) <= RECONNECT_INTERVAL);
        let later: Vec<_> = (0..100).map(|_| pauses.after_session(Duration::ZERO)).collect();
        assert!(later.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(later.iter().any(|pause| *pause > LONGEST_PAUSE / 2), "half of the last ones are: {later:?}");
        assert!(pauses.after_session(STABLE_AFTER) <= RECONNECT_INTERVAL);
    }

    #[test]
    fn failed_attempts_do_not_come_at_once() {
        let mut pauses = Pauses::new();
        let all = RECONNECT_INTERVAL / 2..=RECONNECT_INTERVAL;
        assert!((0..100).all(|_| all.contains(&pauses.after_failure())));
    }
}
