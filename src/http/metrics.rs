//! What is counted of requests and shards, in the text format of OpenMetrics. Labels are routes,
//! methods, status classes and shard numbers, never an id or a value.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::paths::{self, PATHS};
use crate::process::histogram::{Histogram, Snapshot};
use crate::protocol::ShardStatus;

/// A route as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route(usize);

/// One for each path, and one for what is none of them.
const ROUTES: usize = PATHS.len() + 1;
const OTHER: &str = "other";
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl Route {
    /// The route of a path; keys of the key-value port are "other", as any key may be there.
    pub fn of(path: &str) -> Self {
        Route(paths::position(path).unwrap_or(PATHS.len()))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        PATHS.get(self.0).copied().unwrap_or(OTHER)
    }

    fn all() -> impl Iterator<Item = Route> {
        (0..ROUTES).map(Route)
    }
}

/// One worker's counts.
#[derive(Debug, Default)]
struct Counts {
    latency: [Histogram; ROUTES],
    requests: [[[AtomicU64; CLASSES.len()]; METHODS.len()]; ROUTES],
}

/// The counts of all workers, through one of them.
#[derive(Debug, Clone)]
pub struct Metrics {
    all: Arc<Vec<Counts>>,
    mine: usize,
    workers_up: Arc<AtomicUsize>,
}

impl Metrics {
    /// One for each worker.
    pub fn for_workers(workers: usize) -> Vec<Metrics> {
        let all: Arc<Vec<_>> = Arc::new((0..workers).map(|_| Counts::default()).collect());
        let workers_up = Arc::new(AtomicUsize::new(0));
        (0..workers).map(|mine| Metrics { all: all.clone(), mine, workers_up: workers_up.clone() }).collect()
    }

    /// Notes that this worker serves; true when it is the last one to do so.
    pub fn is_last_worker_up(&self) -> bool {
        self.workers_up.fetch_add(1, Ordering::SeqCst) + 1 == self.all.len()
    }

    /// Counts an answer.
    pub fn observe(&self, route: Route, method: &Method, status: StatusCode, latency: Duration) {
        let counts = &self.all[self.mine];
        counts.latency[route.0].observe(latency);
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        counts.requests[route.0][method][class].fetch_add(1, Ordering::Relaxed);
    }

    /// Everything as text; a shard that does not answer has only `shardcart_shard_up` 0.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn render(&self, shards: Vec<Option<ShardStatus>>) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape { counts: self.all.clone(), shards }));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

/// What one scrape sees.
#[derive(Debug)]
struct Scrape {
    counts: Arc<Vec<Counts>>,
    shards: Vec<Option<ShardStatus>>,
}

/// A number of a shard's status: its metric's name, its help, and where it is.
type Number = (&'static str, &'static str, fn(&ShardStatus) -> u64);

type Encoded = Result<(), fmt::Error>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        self.encode_http(&mut encoder)?;
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
        for route in Route::all() {
            for (m, method) in METHODS.iter().enumerate() {
                for (c, class) in CLASSES.iter().enumerate() {
                    let count = |counts: &Counts| counts.requests[route.0][m][c].load(Ordering::Relaxed);
                    let total: u64 = self.counts.iter().map(count).sum();
                    if total > 0 {
                        let labels = [("route", route.name()), ("method", *method), ("status", *class)];
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
        for route in Route::all() {
            let sum = self.counts.iter().map(|counts| counts.latency[route.0].snapshot()).reduce(add);
            if let Some(sum) = sum.filter(|sum| sum.counts.iter().any(|count| *count > 0)) {
                encode_histogram(latency.encode_family(&[("route", route.name())])?, &sum)?;
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
        let gauges: [Number; 4] = [
            ("shardcart_shard_resident_bytes", "Keys and values held in memory.", |s| s.resident_bytes),
            ("shardcart_shard_idempotency_keys", "Live idempotency keys.", |s| s.idempotency_keys),
            ("shardcart_shard_free_disk_bytes", "Room on the shard's disk.", |s| s.free_disk_bytes),
            ("shardcart_shard_accepts_writes", "0 while the disk is nearly full.", |s| u64::from(s.accepts_writes)),
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
        let counters: [Number; 3] = [
            ("shardcart_shard_operations", "Commands taken since the shard's start.", |s| s.operations),
            ("shardcart_shard_captures_failed", "Payments refused after they were authorised.", |s| s.captures_failed),
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

/// The encoder cumulates the counts itself; the last bucket has no bound.
fn encode_histogram(mut metric: MetricEncoder<'_>, snapshot: &Snapshot) -> Encoded {
    let bounds = snapshot.bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(snapshot.counts.iter().copied()).collect();
    let count = snapshot.counts.iter().sum();
    metric.encode_histogram::<NoLabelSet>(snapshot.sum, count, &buckets, None)
}
