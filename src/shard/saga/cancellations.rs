//! The cancellations whose orders are not closed, and who waits for them. The answer leaves in time, finished or not; what
//! is not finished then goes on, and is counted until it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::protocol::{WireReply, encode_reply};
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::engine::{Gauge, GaugeGuard, ReplyTo};

/// The cancellations whose orders are not closed, with who waits for each.
pub struct Cancellations {
    open: Mutex<HashMap<OrderId, Cancellation>>,
    gauge: Gauge,
}

struct Cancellation {
    reply_to: Option<ReplyTo>,
    _counted: GaugeGuard,
}

impl Cancellations {
    /// None yet. `gauge` counts them.
    pub fn new(gauge: Gauge) -> Self {
        Cancellations { open: Mutex::default(), gauge }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrderId, Cancellation>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more. Nobody waits for one that a restart interrupted.
    pub fn enter(&self, order: OrderId, reply_to: Option<ReplyTo>) {
        self.lock().insert(order, Cancellation { reply_to, _counted: self.gauge.enter() });
    }

    /// Answers who still waits for a cancellation.
    pub fn answer(&self, order: OrderId, reply: WireReply) {
        let waiting = self.lock().get_mut(&order).and_then(|cancellation| cancellation.reply_to.take());
        if let Some(reply_to) = waiting {
            reply_to.send(reply);
        }
    }

    /// Answers who still waits that the end is not known yet. The cancellation goes on.
    pub fn give_up(&self, order: OrderId) {
        let unknown = "the order is cancelled, but its payment is not given back yet; that goes on, and a retry with the \
                       same Idempotency-Key has its result";
        self.answer(order, encode_reply(Err(Error::Indeterminate(unknown.into())), clock::now()));
    }

    /// Counts a cancellation no more: its order is closed.
    pub fn close(&self, order: OrderId) {
        self.lock().remove(&order);
    }
}
