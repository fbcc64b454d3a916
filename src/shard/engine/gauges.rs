//! Counts of the orders that a shard works on. They are not stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of things that are under way.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicUsize>);

/// One of the things that a gauge counts, until it is dropped.
#[derive(Debug)]
pub struct GaugeGuard(Arc<AtomicUsize>);

/// The orders that are stored and not decided, or cancelled and not closed.
#[derive(Debug, Clone)]
pub struct OrderGauges {
    /// Those with a card whose customer waits.
    waiting_with_card: Gauge,
    /// Those without one.
    waiting_without_card: Gauge,
    /// Those about whose payment the gateway is silent.
    pub unresolved: Gauge,
    /// Those that are being cancelled.
    pub cancelling: Gauge,
    /// The most of the unresolved ones with which paid orders are still begun.
    pub most_unresolved: usize,
}

/// The most orders about whose payment the gateway may be silent, by default.
pub const DEFAULT_MAX_UNRESOLVED: usize = 256;

impl Default for OrderGauges {
    fn default() -> Self {
        let [waiting_with_card, waiting_without_card, unresolved, cancelling] = [(); 4].map(|()| Gauge::default());
        let most_unresolved = DEFAULT_MAX_UNRESOLVED;
        OrderGauges { waiting_with_card, waiting_without_card, unresolved, cancelling, most_unresolved }
    }
}

impl OrderGauges {
    /// Those whose customer waits, with a card or without one.
    pub fn waiting(&self, has_card: bool) -> &Gauge {
        if has_card { &self.waiting_with_card } else { &self.waiting_without_card }
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
