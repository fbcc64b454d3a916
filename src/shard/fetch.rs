//! Requests that need a record that is on disk only: a closed order, a delivery, a stored reply. The record is read beside
//! the thread that runs commands, so that a slow disk delays nobody else; then the request runs again.

use std::sync::Arc;

use tokio::time::Instant;

use super::clock;
use super::context::ShardContext;
use super::continuation;
use super::dispatch::{self, Execution};
use super::engine::{ReplyTo, StoredKey, Waiter};
use crate::error::Error;
use crate::protocol::{Request, encode_reply};

/// How often a request reads, when what it read is changed meanwhile.
const MAX_ATTEMPTS: usize = 8;

/// Reads what a request needs, runs it again, and replies. Nothing of it was applied so far.
pub fn start(context: &Arc<ShardContext>, request: Request, expires: Instant, missing: StoredKey, reply_to: ReplyTo) {
    let Some(place) = context.reads.place() else {
        return refuse("too many requests wait for the shard's disk; nothing was applied", reply_to);
    };
    let context = context.clone();
    tokio::spawn(async move {
        run(&context, &request, expires, missing, reply_to).await;
        drop(place);
    });
}

async fn run(
    context: &Arc<ShardContext>,
    request: &Request,
    expires: Instant,
    mut missing: StoredKey,
    mut reply_to: ReplyTo,
) {
    let mut fetched = Vec::new();
    for _ in 0..MAX_ATTEMPTS {
        let stamp = context.writer.lock().stamp(&missing);
        match context.reads.read(&missing, expires).await {
            Ok(value) => fetched.push(missing.with(stamp, value)),
            Err(error) => return reply_to.send(encode_reply(Err(error), clock::now())),
        }
        let mut writer = context.writer.lock();
        match dispatch::execute(&mut writer, request, clock::moment(), &fetched) {
            Execution::Replied(reply, dependency) => {
                writer.wait(dependency, Waiter::Reply(reply_to, reply));
                return context.writer.commit(writer);
            }
            Execution::Continues(continuation) => {
                // What may take seconds must not keep others from storage.
                let (_, bytes) = continuation::awaited(&writer, &continuation);
                reply_to.shrink_to(bytes);
                continuation::start(context, continuation, expires, reply_to);
                return context.writer.commit(writer);
            }
            Execution::Fetch(next) => missing = next,
        }
    }
    refuse("a record that the request needs is changed too often; nothing was applied", reply_to);
}

fn refuse(reason: &str, reply_to: ReplyTo) {
    reply_to.send(encode_reply(Err(Error::Unavailable(reason.into())), clock::now()));
}
