//! The facade's counts of its responses, by path template, method and class of status, never by an id or a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::process::histogram::{Histogram, Snapshot};

/// The label of a path: the index of its template in the list of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// The label of paths outside the list, and of keys on the key-value port, where any key may be a path.
const OTHER: &str = "other";
/// The names of the methods that are told apart.
pub const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "other"];
/// The names of the classes of status.
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The counters of one label.
#[derive(Debug, Default)]
struct PathCounts {
    latency: Histogram,
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
}

/// The counts of one route at one moment, over all workers.
#[derive(Debug, Clone)]
pub struct RouteCounts {
    /// The route's template.
    pub name: &'static str,
    /// The times from the head of a request to its answer.
    pub latency: Snapshot,
    /// The responses by method, as in [`METHODS`], and class of status, as in [`CLASSES`].
    pub requests: [[u64; CLASSES.len()]; METHODS.len()],
}

/// The counts of the routes that had a request, at one moment.
#[derive(Debug, Clone, Default)]
pub struct HttpCounts {
    /// The routes.
    pub routes: Vec<RouteCounts>,
}

impl RouteCounts {
    /// The name of each method with its count.
    pub fn by_method(&self) -> impl Iterator<Item = (&'static str, u64)> {
        METHODS.iter().copied().zip(self.requests.iter().map(|classes| classes.iter().sum()))
    }

    /// The count of a method.
    pub fn of_method(&self, method: &str) -> u64 {
        self.by_method().find(|(name, _)| *name == method).map_or(0, |(_, count)| count)
    }

    /// The count of responses whose status is 500 or more.
    pub fn failures(&self) -> u64 {
        self.requests.iter().map(|classes| classes[CLASSES.len() - 1]).sum()
    }
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

    /// The counts of all workers.
    pub fn counts(&self) -> HttpCounts {
        let routes = self.names.iter().enumerate().filter_map(|(label, name)| self.of_route(label, name));
        HttpCounts { routes: routes.collect() }
    }

    /// The counts of one route; `None` for one that had no request.
    fn of_route(&self, label: usize, name: &'static str) -> Option<RouteCounts> {
        let mut counts = RouteCounts { name, latency: Snapshot::default(), requests: Default::default() };
        for worker in self.all.iter().map(|paths| &paths[label]) {
            for (sums, more) in counts.requests.iter_mut().zip(&worker.requests) {
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum += more.load(Ordering::Relaxed);
                }
            }
        }
        let has_any = counts.requests.iter().flatten().any(|count| *count > 0);
        has_any.then(|| {
            self.all.iter().for_each(|paths| counts.latency.add(&paths[label].latency.snapshot()));
            counts
        })
    }
}
