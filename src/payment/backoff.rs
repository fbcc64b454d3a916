//! The pause before a retry: exponential back-off with full jitter (AWS Architecture Blog,
//! "Exponential Backoff And Jitter", 2015), and never before the other side wants it.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of all that the other side did not ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The pauses between the attempts of one call.
pub struct Backoff {
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { longest: FIRST_PAUSE }
    }
}

impl Backoff {
    /// The next pause, at least `wanted`.
    pub fn next(&mut self, wanted: Option<Duration>) -> Duration {
        let pause = self.longest.mul_f64(jitter());
        self.longest = (self.longest * 2).min(LONGEST_PAUSE);
        pause.max(wanted.unwrap_or_default())
    }
}

/// A number from 0 to 1, random enough to keep clients apart.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

/// What `Retry-After` asks for, as seconds or as a date (RFC 9110, section 10.2.3); anything else is
/// as if it were not there.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_never_shorter_than_is_wanted() {
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            assert!(backoff.next(None) <= FIRST_PAUSE);
            assert!(backoff.next(None) <= FIRST_PAUSE * 2);
            assert!((0..100).all(|_| backoff.next(None) <= LONGEST_PAUSE));
            let wanted = LONGEST_PAUSE * 10;
            assert_eq!(backoff.next(Some(wanted)), wanted);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T14:26:53Z".parse().unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("Mon, 23 Nov 2026 14:27:03 GMT", Some(10)),
            ("Mon, 23 Nov 2026 14:00:00 GMT", Some(0)),
            ("99999999999999999999", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
