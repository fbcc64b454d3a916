//! What happened between two samples: rates, percentiles, the size of a batch. A rate is a difference of counts divided by the
//! time that really passed.

use std::time::Duration;

use serde::Serialize;

use crate::http::metrics::HttpCounts;
use crate::process::histogram::Snapshot as Times;
use crate::protocol::{RequestClass, ShardStatus};

const MILLIS: f64 = 1e3;

/// Requests in a second, by class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassRates {
    /// Those that change nothing.
    pub reads: f64,
    /// Those that change something and are not about orders.
    pub writes: f64,
    /// Those that place or change an order.
    pub orders: f64,
}

/// The requests of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Traffic {
    /// Requests in a second.
    pub requests_per_s: ClassRates,
    /// Those that were not served, in a second.
    pub errors_per_s: f64,
    /// The median of their times in milliseconds; `None` without requests.
    pub p50_ms: Option<f64>,
    /// The 99th percentile of their times in milliseconds.
    pub p99_ms: Option<f64>,
}

/// What a shard did in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShardInterval {
    /// Its requests.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Commits in a second.
    pub commits_per_s: f64,
    /// The median of their durations in milliseconds; `None` without commits.
    pub commit_p50_ms: Option<f64>,
    /// The 99th percentile of their durations in milliseconds.
    pub commit_p99_ms: Option<f64>,
    /// The mean of the records that a commit wrote.
    pub batch_size: Option<f64>,
}

/// Rounds to this many decimals, so that no figure claims more than it knows.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

fn per_second(now: u64, then: u64, passed: Duration) -> f64 {
    rounded(now.saturating_sub(then) as f64 / passed.as_secs_f64().max(f64::EPSILON), 2)
}

fn millis(times: &Times, part: f64) -> Option<f64> {
    times.quantile(part).map(|seconds| rounded(seconds * MILLIS, 3))
}

/// What a shard did between two of its statuses; `None` when it has begun anew between them, and its counts with it.
pub fn of_shard(earlier: &ShardStatus, now: &ShardStatus) -> Option<ShardInterval> {
    let passed = now.uptime.checked_sub(earlier.uptime)?;
    let since = |count: fn(&ShardStatus) -> u64| per_second(count(now), count(earlier), passed);
    let commits = now.commit_latency.since(&earlier.commit_latency);
    let times = now.request_latency.since(&earlier.request_latency);
    let records = now.records_committed.saturating_sub(earlier.records_committed);
    Some(ShardInterval {
        traffic: Traffic {
            requests_per_s: ClassRates {
                reads: since(|status| status.reads),
                writes: since(|status| status.writes),
                orders: since(|status| status.order_requests),
            },
            errors_per_s: since(|status| status.failures),
            p50_ms: millis(&times, 0.5),
            p99_ms: millis(&times, 0.99),
        },
        commits_per_s: since(|status| status.commits),
        commit_p50_ms: millis(&commits, 0.5),
        commit_p99_ms: millis(&commits, 0.99),
        batch_size: (commits.count() > 0).then(|| rounded(records as f64 / commits.count() as f64, 2)),
    })
}

/// The class of a request to a route, by its method; `None` for a route whose requests are not counted.
pub type ClassOf = fn(route: &str, method: &str) -> Option<RequestClass>;

/// What the facade answered between two of its counts.
pub fn of_facade(earlier: &HttpCounts, now: &HttpCounts, passed: Duration, class_of: ClassOf) -> Traffic {
    let (mut reads, mut writes, mut orders, mut errors) = (0, 0, 0, 0);
    let mut times = Times::default();
    for route in now.routes.iter().filter(|route| class_of(route.name, "GET").is_some()) {
        let before = earlier.routes.iter().find(|before| before.name == route.name);
        for (method, count) in route.by_method() {
            let count = count - before.map_or(0, |before| before.of_method(method));
            match class_of(route.name, method) {
                Some(RequestClass::Read) => reads += count,
                Some(RequestClass::Write) => writes += count,
                Some(RequestClass::Order) => orders += count,
                None => {}
            }
        }
        errors += route.failures() - before.map_or(0, |before| before.failures());
        times.add(&before.map_or_else(|| route.latency.clone(), |before| route.latency.since(&before.latency)));
    }
    let rate = |count| per_second(count, 0, passed);
    Traffic {
        requests_per_s: ClassRates { reads: rate(reads), writes: rate(writes), orders: rate(orders) },
        errors_per_s: rate(errors),
        p50_ms: millis(&times, 0.5),
        p99_ms: millis(&times, 0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(micros: &[u64]) -> Times {
        let histogram = crate::process::histogram::Histogram::default();
        micros.iter().for_each(|micros| histogram.observe(Duration::from_micros(*micros)));
        histogram.snapshot()
    }

    #[test]
    fn rates_are_over_the_time_that_passed() {
        let earlier = ShardStatus {
            uptime: Duration::from_secs(10),
            reads: 5,
            commits: 1,
            commit_latency: times(&[100]),
            records_committed: 4,
            ..ShardStatus::sample(0)
        };
        let now = ShardStatus {
            uptime: Duration::from_secs(12),
            reads: 25,
            order_requests: 1,
            failures: 3,
            commits: 3,
            commit_latency: times(&[100, 900, 900]),
            request_latency: times(&[100, 100]),
            records_committed: 9,
            ..ShardStatus::sample(0)
        };
        let interval = of_shard(&earlier, &now).unwrap();
        let Traffic { requests_per_s, errors_per_s, p50_ms, .. } = interval.traffic;
        assert_eq!(requests_per_s, ClassRates { reads: 10.0, writes: 0.0, orders: 0.5 });
        // Both took 85 to 100 µs, so the first of them 92.5.
        assert_eq!((errors_per_s, p50_ms), (1.5, Some(0.093)));
        assert_eq!((interval.commits_per_s, interval.batch_size), (1.0, Some(2.5)));
        assert_eq!(interval.commit_p99_ms, Some(1.0));
        assert_eq!(of_shard(&now, &earlier), None, "it has begun anew");
    }

    #[test]
    fn nothing_is_claimed_about_an_interval_without_requests() {
        let (earlier, now) =
            (ShardStatus::sample(0), ShardStatus { uptime: Duration::from_secs(1), ..ShardStatus::sample(0) });
        let interval = of_shard(&earlier, &now).unwrap();
        assert_eq!((interval.traffic.p50_ms, interval.commit_p99_ms, interval.batch_size), (None, None, None));
    }
}
