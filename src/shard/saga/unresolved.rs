//! The payments that only the gateway knows about. An order takes a place before its card goes out, and leaves it when the
//! payment's fate is known. So however many orders meet a gateway that falls silent, no more of them are left undecided
//! than there are places.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::shard::engine::{Gauge, GaugeGuard, OrderGauges};

/// The places of a shard.
pub struct UnresolvedPayments {
    places: Semaphore,
    /// Counts those about which the gateway is silent. Past the limit no paid order is begun.
    silent: Gauge,
}

/// One place, until it is dropped.
pub struct Place<'a> {
    payments: &'a UnresolvedPayments,
    /// None for an order of before a restart that found all places taken.
    _permit: Option<SemaphorePermit<'a>>,
    silent: Option<GaugeGuard>,
}

impl UnresolvedPayments {
    /// As many places as there may be unresolved orders.
    pub fn new(gauges: &OrderGauges) -> Self {
        let places = Semaphore::new(gauges.most_unresolved.min(Semaphore::MAX_PERMITS));
        UnresolvedPayments { places, silent: gauges.unresolved.clone() }
    }

    /// Waits for a place; `None` when there is none before the deadline.
    pub async fn enter(&self, deadline: Instant) -> Option<Place<'_>> {
        let permit = timeout_at(deadline, self.places.acquire()).await.ok()?.ok()?;
        Some(Place { payments: self, _permit: Some(permit), silent: None })
    }

    /// Takes a place for an order that a restart interrupted, even when there is none: its card may have gone out.
    pub fn enter_interrupted(&self) -> Place<'_> {
        let mut place = Place { payments: self, _permit: self.places.try_acquire().ok(), silent: None };
        place.mark_silent();
        place
    }
}

impl Place<'_> {
    /// The gateway has not answered for a while.
    pub fn mark_silent(&mut self) {
        self.silent.get_or_insert_with(|| self.payments.silent.enter());
    }
}
