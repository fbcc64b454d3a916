//! The delay before a dead child is restarted: none, unless it keeps dying.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time for which a death counts.
const WINDOW: Duration = Duration::from_secs(10);
/// The number of deaths within the window that are followed by a restart at once.
const FREE_RESTARTS: usize = 2;
/// The delay after the next death; it doubles with each more.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// The restart delay of one child: its deaths within the window.
#[derive(Debug, Default)]
pub struct RestartDelay(VecDeque<Instant>);

impl RestartDelay {
    /// Notes a death and returns the delay before the restart.
    pub fn next(&mut self, now: Instant) -> Duration {
        while self.0.front().is_some_and(|death| now.duration_since(*death) >= WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        match self.0.len().checked_sub(FREE_RESTARTS + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_DELAY.saturating_mul(1 << doublings.min(8)).min(MAX_DELAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_death_within_the_window_waits_and_the_delay_doubles() {
        let (mut delay, start) = (RestartDelay::default(), Instant::now());
        let delays: Vec<_> = (0..7).map(|second| delay.next(start + Duration::from_secs(second)).as_millis()).collect();
        assert_eq!(delays, [0, 0, 250, 500, 1_000, 2_000, 2_000]);
    }

    #[test]
    fn old_deaths_are_forgotten() {
        let (mut delay, start) = (RestartDelay::default(), Instant::now());
        for number in 0..20 {
            assert_eq!(delay.next(start + WINDOW * number / 2), Duration::ZERO, "{number}");
        }
    }
}
