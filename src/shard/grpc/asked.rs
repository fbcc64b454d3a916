//! Requests as a session takes them from its messages: with an id, and a deadline on the client's clock.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::protocol::{Command, OrderCommand, Request};
use crate::shard::clock::Moment;
use crate::shard::engine::Awaited;

/// A request of a session.
pub struct Asked {
    /// Its id in the session.
    pub id: u64,
    /// The request.
    pub request: Request,
    /// Its deadline on the client's clock.
    pub deadline: Duration,
    /// The arrival of a customer's request; `None` for a request that is not counted.
    pub since: Option<Instant>,
    /// The bytes that it has as one that waits for room; 0 for one that did not wait.
    pub deferred_bytes: usize,
}

impl Asked {
    /// The error for a request whose deadline had passed.
    pub fn too_late(&self) -> Error {
        Error::Unavailable(match self.request.is_read() {
            true => "the deadline had passed".into(),
            false => "the deadline had passed; nothing was applied".into(),
        })
    }
}

/// What the reply to a command waits for, as far as the command tells, if it comes later.
pub fn awaited(command: &Command) -> Option<Awaited> {
    match command {
        Command::ListOrders(_) => Some(Awaited::Storage),
        Command::Order(OrderCommand::Place(_) | OrderCommand::Cancel(_)) => Some(Awaited::Order),
        Command::Ping
        | Command::Cart { .. }
        | Command::Value { .. }
        | Command::Product { .. }
        | Command::ListProducts(_)
        | Command::Order(OrderCommand::Get(_))
        | Command::Delivery(_)
        | Command::Peer(_) => None,
    }
}

/// The time at which requests run.
pub struct Now {
    /// The time on the shard's clocks.
    pub moment: Moment,
    /// The same time.
    pub instant: Instant,
    /// The time of the client's clock.
    pub clients: Duration,
}

impl Now {
    /// The time of a deadline on the client's clock.
    pub fn expiry_of(&self, deadline: Duration) -> tokio::time::Instant {
        (self.instant + deadline.saturating_sub(self.clients)).into()
    }
}
