//! A latency histogram with fixed buckets, cheap enough for every request and every commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The buckets' upper bounds in microseconds. One more bucket without a bound follows.
const BOUNDS_MICROS: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// The number of durations in each bucket, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The buckets' upper bounds in seconds. One more bucket without a bound follows.
    pub bounds: Vec<f64>,
    /// The count of each bucket, not cumulative; one more than `bounds`.
    pub counts: Vec<u64>,
    /// The sum of all durations in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            bounds: BOUNDS_MICROS.iter().map(|bound| *bound as f64 / 1e6).collect(),
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 50, 51, 5_000_000, 5_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts[..2], [2, 1]);
        assert_eq!(snapshot.counts[BUCKETS - 2..], [1, 1]);
        assert_eq!(snapshot.counts.len(), snapshot.bounds.len() + 1);
    }
}
