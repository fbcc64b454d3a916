//! The last quarter of an hour of each shard, a sample a second, whether anybody looks or not.

use std::collections::VecDeque;

use serde::Serialize;

use super::figures::ShardFigures;
use crate::domain::time::Timestamp;

/// The most samples of a shard: a quarter of an hour.
pub const MAX_SECONDS: usize = 900;
/// The most samples of all shards together. One takes 72 bytes, so they take 4.2 MB at most; of more than 64 shards less than
/// a quarter of an hour is kept.
const MAX_SAMPLES: usize = MAX_SECONDS * 64;

/// The figures of a shard in one second. What is not known is not a number.
#[derive(Debug, Clone, Copy)]
struct Sample {
    reads: f32,
    writes: f32,
    orders: f32,
    errors: f32,
    p50_ms: f32,
    p99_ms: f32,
    commit_p99_ms: f32,
    batch_size: f32,
    memory_bytes: u64,
    records: u64,
    queue: u32,
    open_orders: u32,
    idempotency_keys: u32,
}

impl Sample {
    fn of(figures: &ShardFigures) -> Option<Self> {
        let status = figures.status.as_deref()?;
        let interval = figures.interval;
        let traffic = interval.map(|interval| interval.traffic);
        let known = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let open_orders = status.records.iter().find(|(kind, _)| kind == "open_order").map_or(0, |(_, count)| *count);
        Some(Sample {
            reads: known(traffic.map(|traffic| traffic.requests_per_s.reads)),
            writes: known(traffic.map(|traffic| traffic.requests_per_s.writes)),
            orders: known(traffic.map(|traffic| traffic.requests_per_s.orders)),
            errors: known(traffic.map(|traffic| traffic.errors_per_s)),
            p50_ms: known(traffic.and_then(|traffic| traffic.p50_ms)),
            p99_ms: known(traffic.and_then(|traffic| traffic.p99_ms)),
            commit_p99_ms: known(interval.and_then(|interval| interval.commit_p99_ms)),
            batch_size: known(interval.and_then(|interval| interval.batch_size)),
            memory_bytes: status.memory_bytes,
            records: status.records_total,
            queue: count(status.queue),
            open_orders: count(open_orders),
            idempotency_keys: count(status.idempotency_keys),
        })
    }
}

/// The samples of all shards.
#[derive(Debug)]
pub struct History {
    capacity: usize,
    /// The samples of each shard, the newest last; `None` where it was down, or the facade did not run.
    shards: Vec<VecDeque<Option<Sample>>>,
    newest: Timestamp,
}

impl History {
    /// Makes a history without a sample.
    pub fn of_shards(shards: usize) -> Self {
        let capacity = (MAX_SAMPLES / shards.max(1)).clamp(1, MAX_SECONDS);
        History { capacity, shards: vec![VecDeque::new(); shards], newest: Timestamp::default() }
    }

    /// Adds the figures of a time, so many seconds after the last ones.
    pub fn add(&mut self, at: Timestamp, shards: &[ShardFigures], seconds: usize) {
        self.newest = at;
        let missed = seconds.saturating_sub(1).min(self.capacity);
        for (samples, figures) in self.shards.iter_mut().zip(shards) {
            samples.extend(std::iter::repeat_n(None, missed));
            samples.push_back(Sample::of(figures));
            let surplus = samples.len().saturating_sub(self.capacity);
            samples.drain(..surplus);
        }
    }

    /// The last so many seconds, as far as they are kept, as a part of the API's JSON.
    pub fn last(&self, seconds: usize) -> Series {
        let kept = self.shards.first().map_or(0, VecDeque::len);
        let length = seconds.min(kept);
        let back = i64::try_from(length.saturating_sub(1)).unwrap_or_default() * 1_000_000;
        let from = Timestamp::from_micros(self.newest.micros() - back).unwrap_or_default();
        let shards = self.shards.iter().map(|samples| ShardSeries::of(samples.iter().skip(kept - length)));
        Series { from: from.to_string(), interval_s: 1, shards: shards.collect() }
    }
}

/// The history as a part of the API's JSON.
#[derive(Debug, Serialize)]
pub struct Series {
    from: String,
    interval_s: u32,
    shards: Vec<ShardSeries>,
}

/// A number for each second; null where there was no sample, or nothing to measure.
#[derive(Debug, Default, Serialize)]
struct ShardSeries {
    requests_per_s: Vec<Option<f32>>,
    reads_per_s: Vec<Option<f32>>,
    writes_per_s: Vec<Option<f32>>,
    orders_per_s: Vec<Option<f32>>,
    errors_per_s: Vec<Option<f32>>,
    p50_ms: Vec<Option<f32>>,
    p99_ms: Vec<Option<f32>>,
    commit_p99_ms: Vec<Option<f32>>,
    batch_size: Vec<Option<f32>>,
    memory_bytes: Vec<Option<u64>>,
    records: Vec<Option<u64>>,
    queue: Vec<Option<u32>>,
    open_orders: Vec<Option<u32>>,
    idempotency_keys: Vec<Option<u32>>,
}

impl ShardSeries {
    fn of<'a>(samples: impl Iterator<Item = &'a Option<Sample>>) -> Self {
        let mut series = ShardSeries::default();
        let known = |value: f32| Some(value).filter(|value| value.is_finite());
        for sample in samples {
            let figure = |figure: fn(&Sample) -> f32| sample.as_ref().and_then(|sample| known(figure(sample)));
            let all = (figure(|s| s.reads), figure(|s| s.writes), figure(|s| s.orders));
            let sum =
                if let (Some(reads), Some(writes), Some(orders)) = all { Some(reads + writes + orders) } else { None };
            series.requests_per_s.push(sum.map(|sum| (sum * 100.0).round() / 100.0));
            series.reads_per_s.push(all.0);
            series.writes_per_s.push(all.1);
            series.orders_per_s.push(all.2);
            series.errors_per_s.push(figure(|s| s.errors));
            series.p50_ms.push(figure(|s| s.p50_ms));
            series.p99_ms.push(figure(|s| s.p99_ms));
            series.commit_p99_ms.push(figure(|s| s.commit_p99_ms));
            series.batch_size.push(figure(|s| s.batch_size));
            series.memory_bytes.push(sample.map(|s| s.memory_bytes));
            series.records.push(sample.map(|s| s.records));
            series.queue.push(sample.map(|s| s.queue));
            series.open_orders.push(sample.map(|s| s.open_orders));
            series.idempotency_keys.push(sample.map(|s| s.idempotency_keys));
        }
        series
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::http::status::figures::ShardState;
    use crate::protocol::ShardStatus;

    const MICROS: i64 = 1_000_000;

    /// A shard with so many records; `None` for one that is down.
    fn shard(records: Option<u64>) -> ShardFigures {
        let status = records.map(|records| Arc::new(ShardStatus { records_total: records, ..ShardStatus::sample(0) }));
        let state = if status.is_some() { ShardState::Up } else { ShardState::Down };
        ShardFigures { shard: 0, state, since: Timestamp::default(), slots: Vec::new(), status, interval: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * MICROS).unwrap()
    }

    fn series(history: &History, seconds: usize) -> (Value, Value) {
        let json = serde_json::to_value(history.last(seconds)).unwrap();
        (json["from"].clone(), json["shards"][0]["records"].clone())
    }

    #[test]
    fn gaps_are_told_and_the_oldest_forgotten() {
        let mut history = History::of_shards(1);
        for (second, records, passed) in [(10, Some(1), 1), (11, None, 1), (14, Some(4), 3)] {
            history.add(at(second), &[shard(records)], passed);
        }
        let all = json!([1, null, null, null, 4]);
        assert_eq!(series(&history, 900), ("1970-01-01T00:00:10Z".into(), all));
        assert_eq!(series(&history, 2), ("1970-01-01T00:00:13Z".into(), json!([null, 4])));
        history.add(at(10_000), &[shard(Some(5))], usize::MAX);
        let (from, records) = series(&history, 900);
        let records = records.as_array().unwrap();
        assert_eq!((from, records.len()), ("1970-01-01T02:31:41Z".into(), MAX_SECONDS));
        assert!(records[..899].iter().all(Value::is_null) && records[899] == 5);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut history = History::of_shards(1);
        history.add(at(1), &[shard(Some(1))], 1);
        let json = serde_json::to_value(history.last(1)).unwrap();
        for name in ["requests_per_s", "errors_per_s", "p50_ms", "p99_ms", "commit_p99_ms", "batch_size"] {
            assert_eq!(json["shards"][0][name], json!([null]), "{name}");
        }
    }

    #[test]
    fn memory_is_limited() {
        assert_eq!(size_of::<Option<Sample>>(), 72);
        for (shards, seconds) in [(1, MAX_SECONDS), (64, MAX_SECONDS), (128, MAX_SECONDS / 2), (1_024, 56)] {
            assert_eq!(History::of_shards(shards).capacity, seconds, "{shards} shards");
        }
    }
}
