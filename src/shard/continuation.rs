//! The work of requests that does not end in their first transaction: it is started here, and replies later.

use std::sync::Arc;

use tokio::time::Instant;

use super::context::ShardContext;
use super::dispatch::Continuation;
use super::engine::{Awaited, ReplyTo, Writer};
use super::order_list;
use super::records::orders;
use super::saga::{cancel, driver};

/// The most bytes that an order's record grows until the reply: the texts of its outcome.
const MAX_OUTCOME_BYTES: usize = 4 << 10;

/// What the reply waits for, and the most bytes that it can have.
pub fn awaited(writer: &Writer, continuation: &Continuation) -> (Awaited, usize) {
    let order = match continuation {
        Continuation::Place(waiting) => waiting.id,
        Continuation::Cancel { order, .. } => *order,
        Continuation::List(_) => return (Awaited::Storage, order_list::MAX_REPLY_BYTES),
    };
    (Awaited::Order, orders::open_bytes(writer.state(), order) + MAX_OUTCOME_BYTES)
}

/// Starts the rest of a request. A read that takes until `expires` is given up.
pub fn start(context: &Arc<ShardContext>, continuation: Continuation, expires: Instant, reply_to: ReplyTo) {
    match continuation {
        Continuation::Place(order) => driver::start(&context.coordinator, order, reply_to),
        Continuation::Cancel { order, has_driver } => {
            cancel::start(&context.coordinator, order, has_driver, reply_to);
        }
        Continuation::List(list) => order_list::start(context, list, expires, reply_to),
    }
}
