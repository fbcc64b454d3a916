//! The replies of a session that may be sent, and the waiters for a commit.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use tokio::sync::oneshot;

use super::reply_times::ReplyTimes;
use crate::protocol::{WireReply, is_failure};

/// The replies of a session that may be sent. The committer adds them, and the session takes them.
#[derive(Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
    times: Arc<ReplyTimes>,
}

#[derive(Default)]
struct Inner {
    replies: Vec<WireReply>,
    /// The bytes that [`ReplyTo`] has counted for them.
    bytes: usize,
    session: Option<Waker>,
}

impl Outbox {
    /// Makes an outbox whose replies are counted in `times`.
    pub fn counted_in(times: Arc<ReplyTimes>) -> Self {
        Outbox { inner: Mutex::default(), times }
    }

    /// Moves the replies to `into`, and returns the bytes that were counted for them. The session is woken when there are
    /// more.
    pub fn drain(&self, into: &mut Vec<WireReply>, context: &Context<'_>) -> usize {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        into.append(&mut inner.replies);
        match &mut inner.session {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        std::mem::take(&mut inner.bytes)
    }

    fn push(&self, reply: WireReply, bytes: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = inner.replies.is_empty();
        inner.replies.push(reply);
        inner.bytes += bytes;
        if was_empty && let Some(session) = &inner.session {
            session.wake_by_ref();
        }
    }
}

/// The destination of a reply: a session, and the request's id in it.
pub struct ReplyTo {
    /// The session's outbox.
    pub outbox: Arc<Outbox>,
    /// The request's id.
    pub id: u64,
    /// The bytes of the reply, if it was known when its wait began.
    pub bytes: usize,
    /// The arrival of a customer's request; `None` for a request that is not counted.
    pub since: Option<Instant>,
}

impl ReplyTo {
    /// Sends a reply under the request's id.
    pub fn send(self, reply: WireReply) {
        if let Some(since) = self.since {
            self.outbox.times.observe(since.elapsed(), 1, u64::from(is_failure(&reply)));
        }
        self.outbox.push(WireReply { id: self.id, ..reply }, self.bytes);
    }
}

/// A waiter for a commit.
pub enum Waiter {
    /// A reply that is sent when the commit is durable.
    Reply(ReplyTo, WireReply),
    /// A step of an order, which continues when the commit is durable.
    Step(oneshot::Sender<()>),
}

impl Waiter {
    /// The bytes of its reply.
    pub fn bytes(&self) -> usize {
        match self {
            Waiter::Reply(reply_to, _) => reply_to.bytes,
            Waiter::Step(_) => 0,
        }
    }

    /// Tells the waiter that the commit is durable.
    pub fn wake(self) {
        match self {
            Waiter::Reply(reply_to, reply) => reply_to.send(reply),
            // An error means that nothing waits any more.
            Waiter::Step(step) => _ = step.send(()),
        }
    }
}
