//! A latency histogram with fixed buckets, cheap enough for every request and every commit, and fine enough for
//! percentiles over a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The buckets' upper bounds in microseconds. One more bucket without a bound follows. From 20 µs
/// to 100 ms each is at most a quarter above the one before, so that a percentile is as exact.
const BOUNDS_MICROS: [u64; 58] = [
    5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 85, 100, 120, 140, 170, 200, 250, 300, 350, 425, 500, 600, 700, 850,
    1_000, 1_200, 1_400, 1_700, 2_000, 2_500, 3_000, 3_500, 4_250, 5_000, 6_000, 7_000, 8_500, 10_000, 12_000, 14_000,
    17_000, 20_000, 25_000, 30_000, 35_000, 42_500, 50_000, 60_000, 70_000, 85_000, 100_000, 200_000, 300_000, 500_000,
    1_000_000, 2_000_000, 5_000_000,
];
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// The number of durations in each bucket, and their sum.
#[derive(Debug)]
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

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: std::array::from_fn(|_| AtomicU64::new(0)), sum_micros: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_many(duration, 1);
    }

    /// Counts a duration that several have.
    pub fn observe_many(&self, duration: Duration, count: u64) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros.saturating_mul(count), Ordering::Relaxed);
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

impl Snapshot {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What was added since an earlier snapshot of the same histogram. One of a histogram with other bounds, or with more
    /// durations, counts as empty: the process has begun anew.
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let is_earlier = self.bounds == earlier.bounds
            && self.counts.len() == earlier.counts.len()
            && self.counts.iter().zip(&earlier.counts).all(|(now, then)| now >= then);
        if !is_earlier {
            return self.clone();
        }
        Snapshot {
            bounds: self.bounds.clone(),
            counts: self.counts.iter().zip(&earlier.counts).map(|(now, then)| now - then).collect(),
            sum: self.sum - earlier.sum,
        }
    }

    /// Adds the durations of another histogram with the same bounds.
    pub fn add(&mut self, other: &Snapshot) {
        if self.counts.is_empty() {
            *self = other.clone();
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// The duration in seconds that this part of all durations, such as 0.99, does not exceed: within the bucket where it
    /// lies, as if that one's durations were spread evenly. `None` without durations.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        let rank = (part * count as f64).ceil().max(1.0);
        let (mut below, mut lower) = (0, 0.0);
        for (index, in_bucket) in self.counts.iter().enumerate().filter(|_| count > 0) {
            let upper = self.bounds.get(index).copied();
            if (below + in_bucket) as f64 >= rank {
                let share = (rank - below as f64) / *in_bucket as f64;
                return Some(upper.map_or(lower, |upper| lower + (upper - lower) * share));
            }
            below += in_bucket;
            lower = upper.unwrap_or(lower);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: &[u64]) -> Histogram {
        let histogram = Histogram::default();
        micros.iter().for_each(|micros| histogram.observe(Duration::from_micros(*micros)));
        histogram
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let snapshot = of(&[0, 5, 6, 5_000_000, 5_000_001]).snapshot();
        assert_eq!(snapshot.counts[..2], [2, 1]);
        assert_eq!(snapshot.counts[BUCKETS - 2..], [1, 1]);
        assert_eq!(snapshot.counts.len(), snapshot.bounds.len() + 1);
        assert!(BOUNDS_MICROS.is_sorted());
    }

    #[test]
    fn a_quantile_is_as_exact_as_its_bucket() {
        let micros: Vec<_> = (1..=1_000).map(|n| n * 37).collect();
        let snapshot = of(&micros).snapshot();
        for part in [0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let exact = (part * 1_000.0_f64).ceil() * 37.0 / 1e6;
            let found = snapshot.quantile(part).unwrap();
            assert!((found / exact - 1.0).abs() < 0.25, "{part}: {found}, exactly {exact}");
        }
        assert_eq!(Snapshot::default().quantile(0.5), None);
        assert_eq!(of(&[]).snapshot().quantile(0.5), None);
        assert_eq!(of(&[9_000_000]).snapshot().quantile(0.5), Some(5.0), "past the last bound nothing is known");
    }

    #[test]
    fn what_was_added_since_is_the_difference() {
        let histogram = of(&[10, 20]);
        let before = histogram.snapshot();
        histogram.observe_many(Duration::from_micros(30), 3);
        let added = histogram.snapshot().since(&before);
        assert_eq!((added.count(), (added.sum * 1e6).round()), (3, 90.0));
        let anew = of(&[1]).snapshot();
        assert_eq!(anew.since(&before), anew, "of a process that has begun anew everything is new");
    }
}
