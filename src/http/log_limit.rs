//! A limit on log lines. In an outage every request fails, and must not wait for stderr as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The most lines in a second.
const MAX_LINES: u64 = 20;

/// The limit of [`MAX_LINES`] lines in each second.
#[derive(Debug)]
pub struct LogLimit {
    epoch: Instant,
    /// The second of the last line, counted from the epoch.
    second: AtomicU64,
    /// The number of lines in that second.
    lines: AtomicU64,
}

impl LogLimit {
    /// Makes a limit without a line yet.
    pub fn new() -> Self {
        LogLimit { epoch: Instant::now(), second: AtomicU64::new(0), lines: AtomicU64::new(0) }
    }

    /// True if one more line may be written now.
    pub fn allows_line(&self) -> bool {
        self.allows_line_in(self.epoch.elapsed().as_secs())
    }

    fn allows_line_in(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        self.lines.fetch_add(1, Ordering::Relaxed) < MAX_LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_lines() {
        let limit = LogLimit::new();
        for second in [0, 1, 7] {
            let allowed = (0..100).filter(|_| limit.allows_line_in(second)).count() as u64;
            assert_eq!(allowed, MAX_LINES, "second {second}");
        }
    }
}
