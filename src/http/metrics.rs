//! Metrics of requests and shards, in the text format of OpenMetrics. Labels are path templates, methods, status
//! classes and shard numbers, never an id or a value.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::process::histogram::{Histogram, Snapshot};
use crate::process::logging;
use crate::protocol::ShardStatus;

/// The label of a path: the index of its template in the list of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// The label of paths outside the list, and of keys on the key-value port, where any key may be a path.
const OTHER: &str = "other";
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The counters of one label.
#[derive(Debug, Default)]
struct PathCounts {
    latency: Histogram,
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
}

/// A worker's counters, and its view of all workers' counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The names of the labels.
    names: Arc<[&'static str]>,
    /// A list for each worker, with an entry for each label.
    all: Arc<[Vec<PathCounts>]>,
    mine: usize,
}

impl Metrics {
    /// Makes the metrics of each worker, with a label for each template and one for everything else.
    pub fn for_workers(workers: usize, templates: &[&'static str]) -> Vec<Metrics> {
        let names: Arc<[_]> = templates.iter().copied().chain([OTHER]).collect();
        let counts = || names.iter().map(|_| PathCounts::default()).collect();
        let all: Arc<[Vec<_>]> = (0..workers).map(|_| counts()).collect();
        (0..workers).map(|mine| Metrics { names: names.clone(), all: all.clone(), mine }).collect()
    }

    /// The label of a template.
    pub fn label(&self, template: &str) -> Label {
        Label(self.names.iter().position(|name| *name == template).unwrap_or(self.names.len() - 1))
    }

    /// The label of a response that belongs to no template.
    pub fn other(&self) -> Label {
        Label(self.names.len() - 1)
    }

    /// The text of a label.
    pub fn name(&self, label: Label) -> &'static str {
        self.names[label.0]
    }

    /// Counts a response.
    pub fn observe(&self, label: Label, method: &Method, status: StatusCode, latency: Duration) {
        self.all[self.mine][label.0].latency.observe(latency);
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        self.count(label, method, status);
    }

    /// Counts a response to what is no request: it has no path, no method and no duration.
    pub fn observe_unreadable(&self, status: StatusCode) {
        self.count(self.other(), METHODS.len() - 1, status);
    }

    fn count(&self, label: Label, method: usize, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.all[self.mine][label.0].requests[method][class].fetch_add(1, Ordering::Relaxed);
    }

    /// Renders all metrics. A shard that does not answer has only `shardcart_shard_up` 0.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn render(&self, shards: Vec<Option<ShardStatus>>) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape { names: self.names.clone(), counts: self.all.clone(), shards }));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

/// The numbers of one scrape.
#[derive(Debug)]
struct Scrape {
    names: Arc<[&'static str]>,
    counts: Arc<[Vec<PathCounts>]>,
    shards: Vec<Option<ShardStatus>>,
}

/// A metric from a shard's status: its name, its help text, and the function that reads it.
type Number = (&'static str, &'static str, fn(&ShardStatus) -> u64);

type Encoded = Result<(), fmt::Error>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        self.encode_http(&mut encoder)?;
        let help = "Log lines of the facade that nobody took in time.";
        let mut dropped = encoder.encode_descriptor("shardcart_log_dropped", help, None, MetricType::Counter)?;
        dropped.encode_counter::<NoLabelSet, _, u64>(&logging::dropped(), None)?;
        let up =
            encoder.encode_descriptor("shardcart_shard_up", "Whether the shard answers.", None, MetricType::Gauge)?;
        self.each_shard(up, |status, metric| metric.encode_gauge(&i64::from(status.is_some())))?;
        self.encode_gauges(&mut encoder)?;
        self.encode_counters(&mut encoder)?;
        self.encode_commits(&mut encoder)
    }
}

impl Scrape {
    fn encode_http(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "HTTP requests answered.";
        let mut requests = encoder.encode_descriptor("shardcart_http_requests", help, None, MetricType::Counter)?;
        for (label, name) in self.names.iter().enumerate() {
            for (m, method) in METHODS.iter().enumerate() {
                for (c, class) in CLASSES.iter().enumerate() {
                    let count = |counts: &Vec<PathCounts>| counts[label].requests[m][c].load(Ordering::Relaxed);
                    let total: u64 = self.counts.iter().map(count).sum();
                    if total > 0 {
                        let labels = [("route", *name), ("method", *method), ("status", *class)];
                        requests.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&total, None)?;
                    }
                }
            }
        }
        let help = "From the head of a request to its answer.";
        let mut latency = encoder.encode_descriptor(
            "shardcart_http_request_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (label, name) in self.names.iter().enumerate() {
            let sum = self.counts.iter().map(|counts| counts[label].latency.snapshot()).reduce(add);
            if let Some(sum) = sum.filter(|sum| sum.counts.iter().any(|count| *count > 0)) {
                encode_histogram(latency.encode_family(&[("route", *name)])?, &sum)?;
            }
        }
        Ok(())
    }

    fn each_shard(
        &self,
        mut metric: MetricEncoder<'_>,
        mut encode: impl FnMut(Option<&ShardStatus>, &mut MetricEncoder<'_>) -> Encoded,
    ) -> Encoded {
        for (shard, status) in self.shards.iter().enumerate() {
            let shard = shard.to_string();
            encode(status.as_ref(), &mut metric.encode_family(&[("shard", shard.as_str())])?)?;
        }
        Ok(())
    }

    fn encode_gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let gauges: [Number; 6] = [
            ("shardcart_shard_resident_bytes", "Keys and values held in memory.", |s| s.resident_bytes),
            ("shardcart_shard_memory_bytes", "Memory that the shard counts.", |s| s.memory_bytes),
            ("shardcart_shard_max_memory_bytes", "The limit of that memory.", |s| s.max_memory_bytes),
            ("shardcart_shard_idempotency_keys", "Live idempotency keys.", |s| s.idempotency_keys),
            ("shardcart_shard_free_disk_bytes", "Room on the shard's disk.", |s| s.free_disk_bytes),
            ("shardcart_shard_accepts_writes", "0 while the disk or the commit log is nearly full.", |s| {
                u64::from(s.accepts_writes)
            }),
        ];
        for (name, help, value) in gauges {
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
        let counters: [Number; 8] = [
            ("shardcart_shard_operations", "Commands taken since the shard's start.", |s| s.operations),
            ("shardcart_shard_captures_failed", "Payments refused after they were authorised.", |s| s.captures_failed),
            ("shardcart_shard_checkpoints_failed", "Checkpoints that failed and were tried again.", |s| {
                s.checkpoints_failed
            }),
            ("shardcart_shard_log_dropped", "Log lines that nobody took in time.", |s| s.log_dropped),
            ("shardcart_shard_carts_removed", "Carts removed since they were not touched.", |s| s.carts_removed),
            ("shardcart_shard_orders_removed", "Refused orders removed since they were old.", |s| s.orders_removed),
            ("shardcart_shard_damages", "Damages found on the shard's disk since its start.", |s| s.damages),
            ("shardcart_shard_commits", "Commits since the shard's start.", |s| s.commits),
        ];
        for (name, help, value) in counters {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (shard, status) in self.answering() {
                let labels = [("shard", shard.as_str())];
                counter.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value(status), None)?;
            }
        }
        Ok(())
    }

    fn encode_commits(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Writing and syncing one batch.";
        let mut latency = encoder.encode_descriptor(
            "shardcart_shard_commit_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (shard, status) in self.answering() {
            encode_histogram(latency.encode_family(&[("shard", shard.as_str())])?, &status.commit_latency)?;
        }
        Ok(())
    }

    fn answering(&self) -> impl Iterator<Item = (String, &ShardStatus)> {
        self.shards.iter().enumerate().filter_map(|(shard, status)| Some((shard.to_string(), status.as_ref()?)))
    }
}

fn to_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn add(mut left: Snapshot, right: Snapshot) -> Snapshot {
    for (count, more) in left.counts.iter_mut().zip(&right.counts) {
        *count += more;
    }
    left.sum += right.sum;
    left
}

/// Encodes a histogram. The encoder makes the counts cumulative itself; the last bucket has no bound.
fn encode_histogram(mut metric: MetricEncoder<'_>, snapshot: &Snapshot) -> Encoded {
    let bounds = snapshot.bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(snapshot.counts.iter().copied()).collect();
    let count = snapshot.counts.iter().sum();
    metric.encode_histogram::<NoLabelSet>(snapshot.sum, count, &buckets, None)
}
