//! The clock of the execution ids: the system's clock, corrected by the offset to a time server.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that can be corrected while other threads read it.
#[derive(Debug, Default)]
pub struct Clock {
    /// Nanoseconds by which the system's clock is behind.
    offset: AtomicI64,
}

impl Clock {
    /// Nanoseconds since 1970, which fit until 2262.
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        system.saturating_add(self.offset.load(Ordering::Relaxed))
    }

    /// Sets the offset: nanoseconds by which the system's clock is behind.
    pub fn correct(&self, offset: i64) {
        self.offset.store(offset, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_systems_time_with_the_offset() {
        const HOUR: i64 = 3_600_000_000_000;
        let (plain, clock) = (Clock::default(), Clock::default());
        for offset in [HOUR, -HOUR] {
            clock.correct(offset);
            let (before, corrected, after) = (plain.now(), clock.now(), plain.now());
            assert!((before..=after).contains(&(corrected - offset)));
        }
        clock.correct(i64::MAX);
        assert_eq!(clock.now(), i64::MAX);
    }
}
