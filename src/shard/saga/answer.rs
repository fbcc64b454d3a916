//! The answer to the customer of an order. It leaves in time, decided or not.

use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::protocol::{WireReply, encode_reply};
use crate::shard::clock;
use crate::shard::engine::{GaugeGuard, ReplyTo};

/// Who waits for the decision on an order.
pub struct Answer(Mutex<Waiting>);

enum Waiting {
    /// The customer does.
    Customer { reply_to: ReplyTo, _counted: GaugeGuard },
    /// Nobody does any more.
    Nobody,
}

impl Answer {
    /// A customer waits, and is counted until then.
    pub fn to(reply_to: ReplyTo, counted: GaugeGuard) -> Self {
        Answer(Mutex::new(Waiting::Customer { reply_to, _counted: counted }))
    }

    /// Nobody waits: a restart interrupted the order.
    pub fn to_nobody() -> Self {
        Answer(Mutex::new(Waiting::Nobody))
    }

    /// The reply can be sent, if the customer still waits.
    pub fn send(&self, reply: WireReply) {
        let waiting = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Waiting::Nobody);
        if let Waiting::Customer { reply_to, .. } = waiting {
            reply_to.send(reply);
        }
    }

    /// The time is over: a customer who still waits learns that the outcome is not known yet.
    pub fn give_up(&self) {
        let unknown = "the order is not decided yet, and its payment may be set aside; retry only with the same \
                       Idempotency-Key";
        self.send(encode_reply(Err(Error::Indeterminate(unknown.into())), clock::now()));
    }
}
