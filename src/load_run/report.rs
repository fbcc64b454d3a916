//! The figures of a load run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told from longer ones.
const LONGEST: Duration = Duration::from_secs(60);
/// The significant digits of times.
const DIGITS: u8 = 3;
/// The bound of the first bar, in microseconds. Each further one is twice as much.
const FIRST_BOUND_MICROS: u64 = 125;

/// The times of the requests of one kind that were carried out.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

/// The figures of a load run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Reads of carts.
    pub reads: Latencies,
    /// Additions to carts.
    pub writes: Latencies,
    /// The number of requests that failed, by what the store said.
    pub errors: BTreeMap<String, u64>,
    /// The time during which requests were sent.
    pub elapsed: Duration,
    /// The customers whose carts could not be removed.
    pub left_behind: Vec<String>,
}

/// The requests that took from one bound to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// The upper bound.
    pub below: Duration,
    /// The number of requests.
    pub count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let most = LONGEST.as_micros() as u64;
        Latencies(Histogram::new_with_bounds(1, most, DIGITS).expect("the bounds and digits are in range"))
    }
}

impl Latencies {
    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// The number of requests.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this part of the requests was answered: 0.99 for p99.
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(part))
    }

    /// The requests by their times, from the first bar that has some to the last one.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        let (mut from, mut bound) = (0, FIRST_BOUND_MICROS);
        while from <= self.0.max() {
            let count = self.0.count_between(from, bound - 1);
            bars.push(Bar { below: Duration::from_micros(bound), count });
            (from, bound) = (bound, bound * 2);
        }
        let first = bars.iter().position(|bar| bar.count > 0).unwrap_or(bars.len());
        bars.split_off(first)
    }
}

impl Report {
    pub(super) fn add(&mut self, other: &Report) {
        self.reads.add(&other.reads);
        self.writes.add(&other.writes);
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
        self.left_behind.extend(other.left_behind.iter().cloned());
    }

    /// The number of requests that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_every_request_once() {
        let mut latencies = Latencies::default();
        for micros in [124, 125, 249, 250, 9_000, 90_000_000] {
            latencies.record(Duration::from_micros(micros));
        }
        let bars = latencies.bars();
        let counts: Vec<_> = bars.iter().map(|bar| bar.count).collect();
        assert_eq!((counts[..3].to_vec(), counts.iter().sum()), (vec![1, 2, 1], 6_u64), "{bars:?}");
        assert!(Latencies::default().bars().iter().all(|bar| bar.count > 0));
        assert_eq!(latencies.quantile(0.5), Duration::from_micros(249));
    }
}
