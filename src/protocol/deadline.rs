//! Deadlines between two processes whose clocks run at slightly different rates.
//!
//! The sender counts from before it sends the session's Hello, the receiver from its arrival. A batch carries the sender's
//! time; the difference to the receiver's is the delay of the message, less that of the Hello, plus what the clocks drifted
//! apart. The smallest difference seen is taken for that of a message without delay. It may rise only as fast as clocks
//! drift, so that messages that are all late do not look punctual.

use std::time::Duration;

/// The most by which two clocks drift apart, in parts per million: ten times what a quartz does.
const MAX_DRIFT_PPM: i128 = 500;

/// The receiver's estimate of the sender's clock.
#[derive(Debug, Default)]
pub struct SenderClock {
    /// The smallest difference, receiver's time less sender's, in microseconds. It begins with 0, which it is at most:
    /// the sender counts from before the receiver does.
    smallest: i128,
    /// The receiver's time when that was known.
    at: i128,
}

impl SenderClock {
    /// Notes a message, and returns the sender's time now. Both times count from the Hello.
    pub fn observe(&mut self, received: Duration, sent: Duration) -> Duration {
        let received = received.as_micros() as i128;
        let difference = received - sent.as_micros() as i128;
        let allowed = self.smallest + (received - self.at) * MAX_DRIFT_PPM / 1_000_000;
        // A part of a microsecond must not be lost with every message.
        if difference <= allowed || allowed > self.smallest {
            (self.smallest, self.at) = (difference.min(allowed), received);
        }
        Duration::from_micros(u64::try_from(received - self.smallest).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Messages every second for two days from a clock that runs faster or slower, each 1 ms under way.
    #[test]
    fn a_clock_at_another_rate_is_followed() {
        for ppm in [-100_i64, -50, 0, 50, 100] {
            let mut clock = SenderClock::default();
            for second in 1..2 * 86_400_u64 {
                let sent = Duration::from_micros(second * 1_000_000_u64.checked_add_signed(ppm).unwrap());
                let now = clock.observe(Duration::from_secs(second) + Duration::from_millis(1), sent);
                let error = now.abs_diff(sent);
                assert!(error < Duration::from_millis(2), "{ppm} ppm after {second} s: {error:?}");
            }
        }
    }

    /// The sender began to count 5 s before the receiver.
    #[test]
    fn a_hello_that_was_long_under_way_makes_no_message_late() {
        let mut clock = SenderClock::default();
        for second in 1..1_000 {
            let sent = second * SECOND;
            assert_eq!(clock.observe(sent, sent + 5 * SECOND), sent + 5 * SECOND);
        }
        let late = clock.observe(1_004 * SECOND, 1_005 * SECOND);
        assert!(late > 1_008 * SECOND, "it was 4 s under way: {late:?}");
    }

    #[test]
    fn a_late_message_does_not_look_punctual() {
        let mut clock = SenderClock::default();
        clock.observe(SECOND, SECOND);
        // Nothing arrives for half a minute, then what was sent at its beginning.
        for _ in 0..1_000 {
            let now = clock.observe(31 * SECOND, 2 * SECOND);
            assert!(now > 30 * SECOND, "{now:?}");
        }
        assert!(clock.observe(32 * SECOND, 32 * SECOND) >= 31 * SECOND);
    }
}
