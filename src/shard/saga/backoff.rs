//! Pauses between the attempts of a step that is repeated until it succeeds.

use std::time::Duration;

use tokio::time::sleep;

use crate::process::backoff;

/// The limit of the first pause; each later limit is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The limit of every pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pauses of one step.
pub struct Backoff(backoff::Backoff);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(backoff::Backoff::new(FIRST_PAUSE, LONGEST_PAUSE))
    }
}

impl Backoff {
    /// Waits before the next attempt.
    pub async fn pause(&mut self) {
        sleep(self.0.next(Duration::ZERO)).await;
    }
}
