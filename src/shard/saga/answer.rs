//! The answer to the customer of an order. It leaves in time, decided or not; what is not decided then is counted, and past
//! a limit no more paid orders are begun.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::coordinator::Coordinator;
use crate::error::Error;
use crate::protocol::{WireReply, encode_reply};
use crate::shard::clock;
use crate::shard::engine::{GaugeGuard, ReplyTo};

/// Who waits for the decision on an order.
pub struct Answer(Mutex<Waiting>);

enum Waiting {
    /// The customer does.
    Customer { reply_to: ReplyTo, _counted: GaugeGuard },
    /// Nobody does any more, and the order is not decided.
    Unresolved { _counted: GaugeGuard },
    /// The order is decided.
    Decided,
}

impl Answer {
    /// A customer waits.
    pub fn to(coordinator: &Coordinator, reply_to: ReplyTo) -> Self {
        Answer(Mutex::new(Waiting::Customer { reply_to, _counted: coordinator.gauges.waiting.enter() }))
    }

    /// Nobody waits: a restart interrupted the order.
    pub fn of_interrupted(coordinator: &Coordinator) -> Self {
        Answer(Mutex::new(Waiting::Unresolved { _counted: coordinator.gauges.unresolved.enter() }))
    }

    /// The order is decided, and the reply can be sent.
    pub fn send(&self, reply: WireReply) {
        if let Waiting::Customer { reply_to, .. } = std::mem::replace(&mut *self.lock(), Waiting::Decided) {
            reply_to.send(reply);
        }
    }

    /// The time is over: a customer who still waits learns that the outcome is not known yet.
    pub fn give_up(&self, coordinator: &Coordinator) {
        let mut waiting = self.lock();
        if !matches!(*waiting, Waiting::Customer { .. }) {
            return;
        }
        let unresolved = Waiting::Unresolved { _counted: coordinator.gauges.unresolved.enter() };
        if let Waiting::Customer { reply_to, .. } = std::mem::replace(&mut *waiting, unresolved) {
            let unknown = "the order is not decided yet, and its payment may be set aside; retry only with the same \
                           Idempotency-Key";
            reply_to.send(encode_reply(Err(Error::Indeterminate(unknown.into())), clock::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
