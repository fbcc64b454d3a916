//! Counts of the orders that a shard works on. They are not stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of things that are under way.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicUsize>);

/// One of the things that a gauge counts, until it is dropped.
#[derive(Debug)]
pub struct GaugeGuard(Arc<AtomicUsize>);

/// The orders that are stored and not decided, or not cancelled to the end.
#[derive(Debug, Clone)]
pub struct OrderGauges {
    /// Those whose customer waits.
    pub waiting: Gauge,
    /// Those whose customer has been told that the outcome is unknown, or left.
    pub unresolved: Gauge,
    /// Those that are being cancelled.
    pub cancelling: Gauge,
    /// The most of the unresolved ones with which paid orders are still begun.
    pub most_unresolved: usize,
}

/// The most undecided orders without a waiting customer, by default.
pub const DEFAULT_MAX_UNRESOLVED: usize = 256;

impl Default for OrderGauges {
    fn default() -> Self {
        let [waiting, unresolved, cancelling] = [(); 3].map(|()| Gauge::default());
        OrderGauges { waiting, unresolved, cancelling, most_unresolved: DEFAULT_MAX_UNRESOLVED }
    }
}

impl Gauge {
    /// The count.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub fn enter(&self) -> GaugeGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(self.0.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
