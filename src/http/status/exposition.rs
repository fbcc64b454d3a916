//! A snapshot as text for Prometheus: the text format of OpenMetrics. Labels are path templates, methods, classes of status
//! and numbers of shards, never an id or a value.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::snapshot::Snapshot;
use crate::http::metrics::{CLASSES, METHODS};
use crate::process::histogram;
use crate::protocol::ShardStatus;

/// The upper bounds in seconds of the buckets that are shown. The buckets between them serve percentiles, and would make the
/// text four times as long.
const BOUNDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// A metric from a shard's status: its name, its help text, and the function that reads it.
type Number = (&'static str, &'static str, fn(&ShardStatus) -> u64);

type Encoded = Result<(), fmt::Error>;

const GAUGES: [Number; 8] = [
    ("shardcart_shard_resident_bytes", "Keys and values held in memory.", |s| s.resident_bytes),
    ("shardcart_shard_memory_bytes", "Memory that the shard counts.", |s| s.memory_bytes),
    ("shardcart_shard_max_memory_bytes", "The limit of that memory.", |s| s.max_memory_bytes),
    ("shardcart_shard_idempotency_keys", "Live idempotency keys.", |s| s.idempotency_keys),
    ("shardcart_shard_free_disk_bytes", "Room on the shard's disk.", |s| s.free_disk_bytes),
    ("shardcart_shard_accepts_writes", "0 while the disk or the commit log is nearly full.", |s| {
        u64::from(s.accepts_writes)
    }),
    ("shardcart_shard_queue", "Replies that wait for a commit.", |s| s.queue),
    ("shardcart_shard_undecided_orders", "Orders that are not decided.", |s| s.undecided_orders),
];

const COUNTERS: [Number; 15] = [
    ("shardcart_shard_operations", "Commands taken since the shard's start.", |s| s.operations),
    ("shardcart_shard_reads", "Customers' reads since the shard's start.", |s| s.reads),
    ("shardcart_shard_writes", "Customers' writes, without orders.", |s| s.writes),
    ("shardcart_shard_order_requests", "Requests that place or change an order.", |s| s.order_requests),
    ("shardcart_shard_failures", "Customers' requests that the shard failed to serve.", |s| s.failures),
    ("shardcart_shard_captures_failed", "Payments refused after they were authorised.", |s| s.captures_failed),
    ("shardcart_shard_refunds_failed", "Refunds of cancelled orders that were refused.", |s| s.refunds_failed),
    ("shardcart_shard_payment_calls_failed", "Calls to the payment gateway that it did not answer.", |s| {
        s.payment_calls_failed
    }),
    ("shardcart_shard_checkpoints_failed", "Checkpoints that failed and were tried again.", |s| s.checkpoints_failed),
    ("shardcart_shard_log_dropped", "Log lines that nobody took in time.", |s| s.log_dropped),
    ("shardcart_shard_carts_removed", "Carts removed since they were not touched.", |s| s.carts_removed),
    ("shardcart_shard_orders_removed", "Refused orders removed since they were old or too many.", |s| s.orders_removed),
    ("shardcart_shard_damages", "Damages found on the shard's disk since its start.", |s| s.damages),
    ("shardcart_shard_commits", "Commits since the shard's start.", |s| s.commits),
    ("shardcart_shard_records_committed", "Records written by those commits.", |s| s.records_committed),
];

/// Renders a snapshot. A shard that is down has only `shardcart_shard_up` 0.
///
/// # Errors
/// When the text cannot be written.
pub fn render(snapshot: &Arc<Snapshot>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(snapshot.clone())));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

#[derive(Debug)]
struct Exposition(Arc<Snapshot>);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        let encoder = &mut encoder;
        let facade = &self.0.facade;
        encode_gauge(encoder, "shardcart_snapshot", "The number of the snapshot, as in /status.", self.0.number)?;
        encode_gauge(encoder, "shardcart_http_connections", "Open connections.", facade.connections)?;
        encode_gauge(encoder, "shardcart_status_viewers", "Open streams of the status.", facade.viewers)?;
        self.encode_requests(encoder)?;
        self.encode_times(encoder)?;
        let help = "Log lines of the facade that nobody took in time.";
        let mut dropped = encoder.encode_descriptor("shardcart_log_dropped", help, None, MetricType::Counter)?;
        dropped.encode_counter::<NoLabelSet, _, u64>(&facade.log_dropped, None)?;
        self.encode_up(encoder)?;
        self.encode_gauges(encoder)?;
        self.encode_counters(encoder)?;
        let commits = ("shardcart_shard_commit_duration", "Writing and syncing one batch.");
        self.encode_durations(encoder, commits, |status| &status.commit_latency)?;
        let requests = ("shardcart_shard_request_duration", "Customers' requests in the shard, commits included.");
        self.encode_durations(encoder, requests, |status| &status.request_latency)
    }
}

impl Exposition {
    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "HTTP requests answered.";
        let mut requests = encoder.encode_descriptor("shardcart_http_requests", help, None, MetricType::Counter)?;
        for route in &self.0.http.routes {
            for (method, classes) in METHODS.iter().zip(&route.requests) {
                for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| **count > 0) {
                    let labels = [("route", route.name), ("method", *method), ("status", *class)];
                    requests.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                }
            }
        }
        Ok(())
    }

    fn encode_times(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "From the head of a request to its answer.";
        let name = "shardcart_http_request_duration";
        let mut times = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for route in self.0.http.routes.iter().filter(|route| route.latency.count() > 0) {
            encode_histogram(times.encode_family(&[("route", route.name)])?, &route.latency)?;
        }
        Ok(())
    }

    fn encode_up(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Whether the shard answers.";
        let mut up = encoder.encode_descriptor("shardcart_shard_up", help, None, MetricType::Gauge)?;
        for shard in &self.0.shards {
            let labels = [("shard", shard.shard.to_string())];
            up.encode_family(&labels)?.encode_gauge(&i64::from(shard.status.is_some()))?;
        }
        Ok(())
    }

    fn encode_gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        for (name, help, value) in GAUGES {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (shard, status) in self.answering() {
                gauge.encode_family(&[("shard", shard.as_str())])?.encode_gauge(&to_gauge(value(status)))?;
            }
        }
        let help = "Records held in memory.";
        let mut records = encoder.encode_descriptor("shardcart_shard_records", help, None, MetricType::Gauge)?;
        for (shard, status) in self.answering() {
            for (kind, count) in &status.records {
                let labels = [("shard", shard.as_str()), ("kind", kind.as_str())];
                records.encode_family(&labels)?.encode_gauge(&to_gauge(*count))?;
            }
        }
        Ok(())
    }

    fn encode_counters(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        for (name, help, value) in COUNTERS {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (shard, status) in self.answering() {
                let labels = [("shard", shard.as_str())];
                counter.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value(status), None)?;
            }
        }
        Ok(())
    }

    fn encode_durations(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        times: fn(&ShardStatus) -> &histogram::Snapshot,
    ) -> Encoded {
        let mut durations = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (shard, status) in self.answering() {
            encode_histogram(durations.encode_family(&[("shard", shard.as_str())])?, times(status))?;
        }
        Ok(())
    }

    fn answering(&self) -> impl Iterator<Item = (String, &ShardStatus)> {
        self.0.shards.iter().filter_map(|shard| Some((shard.shard.to_string(), shard.status.as_deref()?)))
    }
}

fn encode_gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Encoded {
    let mut gauge: MetricEncoder<'_> = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    gauge.encode_gauge(&to_gauge(value))
}

fn to_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Encodes a histogram. The encoder makes the counts cumulative itself; the last bucket has no bound.
fn encode_histogram(mut metric: MetricEncoder<'_>, times: &histogram::Snapshot) -> Encoded {
    let mut buckets: Vec<_> = BOUNDS.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
    let bounds = times.bounds.iter().copied().chain([f64::INFINITY]);
    for (bound, count) in bounds.zip(&times.counts) {
        let shown = BOUNDS.partition_point(|shown| *shown < bound);
        buckets[shown].1 += count;
    }
    metric.encode_histogram::<NoLabelSet>(times.sum, times.count(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_that_is_shown_is_one_of_the_buckets() {
        let bounds = histogram::Histogram::default().snapshot().bounds;
        assert!(BOUNDS.iter().all(|bound| bounds.contains(bound)), "{bounds:?}");
    }
}
