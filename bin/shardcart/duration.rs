//! Spans of time as options: `500ms`, `30s`, `24h`, `30d`. A day has 24 hours.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// The least and the most that the disk may have for one commit.
const COMMIT_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

/// The least and the most silence after which a child is restarted. Children say that they go on once a second.
const ANSWER_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(3_600);
/// The least and the most time that a client command may take for a request with all its attempts.
const REQUEST_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
/// The least time for which something is kept: less would mean not at all.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);

/// A span of time, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationOption(pub Duration);

impl FromStr for DurationOption {
    type Err = String;

    /// Reads numbers with units, as jiff's friendly format has them.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || "is not a span of time, as 500ms, 30s, 24h or 30d".to_owned();
        let span: Span = text.parse().map_err(|_| invalid())?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| invalid())?;
        duration.try_into().map(DurationOption).map_err(|_| invalid())
    }
}

impl fmt::Display for DurationOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

/// Reads the time for which something is kept.
pub fn lifetime(text: &str) -> Result<DurationOption, String> {
    let lifetime: DurationOption = text.parse()?;
    if lifetime.0 >= SHORTEST_LIFETIME {
        return Ok(lifetime);
    }
    Err(format!("must be {} or more", DurationOption(SHORTEST_LIFETIME)))
}

/// Reads the time limit of a commit.
pub fn commit_timeout(text: &str) -> Result<DurationOption, String> {
    within(text, &COMMIT_TIMEOUTS)
}

/// Reads the silence after which a child is restarted.
pub fn answer_timeout(text: &str) -> Result<DurationOption, String> {
    within(text, &ANSWER_TIMEOUTS)
}

/// Reads the time for a request.
pub fn request_timeout(text: &str) -> Result<DurationOption, String> {
    within(text, &REQUEST_TIMEOUTS)
}

fn within(text: &str, allowed: &RangeInclusive<Duration>) -> Result<DurationOption, String> {
    let duration: DurationOption = text.parse()?;
    if allowed.contains(&duration.0) {
        return Ok(duration);
    }
    let [least, most] = [*allowed.start(), *allowed.end()].map(DurationOption);
    Err(format!("must be {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_read_and_written() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("1m 30s", 90_000), ("24h", 86_400_000)] {
            assert_eq!(text.parse(), Ok(DurationOption(Duration::from_millis(millis))), "{text}");
            assert_eq!(
                DurationOption(Duration::from_millis(millis)).to_string().parse(),
                text.parse::<DurationOption>()
            );
        }
        assert_eq!("30d".parse(), Ok(DurationOption(Duration::from_secs(30 * 86_400))));
        for text in ["", "30", "soon", "-5s", "s", "5 parsecs"] {
            assert!(text.parse::<DurationOption>().is_err(), "{text}");
        }
        assert!(lifetime("0s").is_err() && lifetime("1s").is_ok());
        assert!(commit_timeout("1ms").is_err() && commit_timeout("2h").is_err());
        assert!(answer_timeout("2s").is_err() && answer_timeout("3s").is_ok());
    }
}
