//! Who waits for the end of cancellations. The answer leaves in time, finished or not; what is not finished then goes on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::protocol::{WireReply, encode_reply};
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::engine::{Gauge, GaugeGuard, ReplyTo};

/// The cancellations that are not finished, with who waits for each.
pub struct Cancellations {
    unfinished: Mutex<HashMap<OrderId, Cancellation>>,
    gauge: Gauge,
}

struct Cancellation {
    reply_to: Option<ReplyTo>,
    _counted: GaugeGuard,
}

impl Cancellations {
    /// None yet. `gauge` counts them.
    pub fn new(gauge: Gauge) -> Self {
        Cancellations { unfinished: Mutex::default(), gauge }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrderId, Cancellation>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more. Nobody waits for one that a restart interrupted.
    pub fn enter(&self, order: OrderId, reply_to: Option<ReplyTo>) {
        self.lock().insert(order, Cancellation { reply_to, _counted: self.gauge.enter() });
    }

    /// Answers who waits for a cancellation, which is finished as far as they are concerned.
    pub fn answer(&self, order: OrderId, reply: WireReply) {
        let finished = self.lock().remove(&order);
        if let Some(reply_to) = finished.and_then(|cancellation| cancellation.reply_to) {
            reply_to.send(reply);
        }
    }

    /// Answers who still waits that the end is not known yet. The cancellation goes on.
    pub fn give_up(&self, order: OrderId) {
        let waiting = self.lock().get_mut(&order).and_then(|cancellation| cancellation.reply_to.take());
        if let Some(reply_to) = waiting {
            let unknown = "the order is cancelled, but its payment is not given back yet; that goes on, and a retry \
                           with the same Idempotency-Key has its result";
            reply_to.send(encode_reply(Err(Error::Indeterminate(unknown.into())), clock::now()));
        }
    }
}
