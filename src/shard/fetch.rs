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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;
    use std::time::Duration;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::protocol::{Command, OrderCommand, decode_reply};
    use crate::routing::{OrderId, Slot};
    use crate::shard::context::tests::{TestStorage, context};
    use crate::shard::engine::{Awaited, Outbox, Transaction};
    use crate::storage::{RecordKey, RecordKind};

    /// Reads an order that is not there, and returns why there is none.
    async fn read(context: &Arc<ShardContext>, order: OrderId) -> Error {
        let request = Request::new(Command::Order(OrderCommand::Get(order)));
        let execution = dispatch::execute(&mut context.writer.lock(), &request, clock::moment(), &[]);
        let Execution::Fetch(missing) = execution else { panic!("it is not in memory: {execution:?}") };
        let outbox = Arc::<Outbox>::default();
        let reply_to = ReplyTo { outbox: outbox.clone(), id: 1, awaited: Awaited::Storage, bytes: 0, since: None };
        start(context, request, Instant::now() + Duration::from_secs(60), missing, reply_to);
        let mut replies = Vec::new();
        poll_fn(|task| {
            outbox.drain(&mut replies, task);
            if replies.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        decode_reply(replies.remove(0)).result.unwrap_err()
    }

    #[tokio::test]
    async fn a_request_whose_record_changes_with_each_read_is_given_up_and_others_are_served() {
        let storage = Arc::new(TestStorage::default());
        let context = context(storage.clone());
        let (restless, other) = (OrderId::new(Slot(1), 1, 1), OrderId::new(Slot(2), 2, 2));
        let (writer, reads) = (context.writer.clone(), Arc::new(AtomicUsize::new(0)));
        let seen = reads.clone();
        let change = move || {
            seen.fetch_add(1, Ordering::SeqCst);
            let key = RecordKey { hash: restless.hash(), kind: RecordKind::Order, id: b"a neighbour" };
            Transaction::begin(&mut writer.lock(), Timestamp::default()).put(key, b"new");
        };
        assert!(storage.at_get.set(Box::new(change)).is_ok());
        let given_up = read(&context, restless).await;
        assert!(matches!(&given_up, Error::Unavailable(why) if why.contains("changed too often")), "{given_up}");
        assert_eq!(reads.load(Ordering::SeqCst), MAX_ATTEMPTS);
        assert!(matches!(read(&context, other).await, Error::NotFound(_)));
        assert_eq!(reads.load(Ordering::SeqCst), MAX_ATTEMPTS + 1);
    }
}
