//! The times of customers' requests in the shard, and how many of them it failed to serve. The thread that runs commands
//! and the committer both count here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::process::histogram::{Histogram, Snapshot};

/// The times from the arrival of a customer's request until its reply may leave.
#[derive(Debug, Default)]
pub struct ReplyTimes {
    times: Histogram,
    failures: AtomicU64,
}

impl ReplyTimes {
    /// Counts replies that took the same time, and those of them that say that the shard failed.
    pub fn observe(&self, time: Duration, replies: u64, failures: u64) {
        if replies > 0 {
            self.times.observe_many(time, replies);
        }
        if failures > 0 {
            self.failures.fetch_add(failures, Ordering::Relaxed);
        }
    }

    /// The times so far.
    pub fn snapshot(&self) -> Snapshot {
        self.times.snapshot()
    }

    /// The number of requests that the shard failed to serve.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
