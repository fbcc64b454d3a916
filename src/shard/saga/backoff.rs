//! Pauses between the attempts of a step that is repeated until it succeeds.

use std::time::Duration;

use tokio::time::sleep;

use crate::process::backoff;

/// The limit of the first pause; each later limit is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The limit of every pause, unless another one is given.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pauses of one step.
pub struct Backoff(backoff::Backoff);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(backoff::Backoff::new(FIRST_PAUSE, LONGEST_PAUSE))
    }
}

impl Backoff {
    /// Pauses that grow up to a limit of their own.
    pub fn up_to(limit: Duration) -> Self {
        Backoff(backoff::Backoff::new(FIRST_PAUSE, limit))
    }

    /// Waits before the next attempt.
    pub async fn pause(&mut self) {
        self.pause_at_least(Duration::ZERO).await;
    }

    /// Waits before the next attempt, and at least so long.
    pub async fn pause_at_least(&mut self, least: Duration) {
        sleep(self.0.next(least)).await;
    }
}
