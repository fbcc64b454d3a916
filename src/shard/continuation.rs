//! The work of requests that does not end in their first transaction: it is started here, and replies later.

use std::sync::Arc;

use tokio::time::Instant;

use super::context::ShardContext;
use super::dispatch::Continuation;
use super::engine::ReplyTo;
use super::order_list;
use super::saga::{cancel, driver};

/// Starts the rest of a request. A read that takes until `expires` is given up.
pub fn start(context: &Arc<ShardContext>, continuation: Continuation, expires: Instant, reply_to: ReplyTo) {
    match continuation {
        Continuation::Place { order, card } => driver::start(&context.coordinator, order, card, reply_to),
        Continuation::Cancel { order, has_driver } => {
            cancel::start(&context.coordinator, order, has_driver, reply_to);
        }
        Continuation::List(list) => order_list::start(context, list, expires, reply_to),
    }
}
