//! The replies of a session that may be sent, and the waiters for a commit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use prost::Message as _;
use tokio::sync::oneshot;

use super::reply_times::ReplyTimes;
use crate::protocol::{WireReply, is_failure};

/// What a reply waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The commit of what it was computed from.
    Commit,
    /// The decision on an order, or the end of a cancellation.
    Order,
    /// A read of storage.
    Storage,
}

/// The bytes of replies by what they wait for.
pub type AwaitedBytes = [usize; 3];

/// The bytes of replies that a session takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Their own bytes.
    pub bytes: usize,
    /// The bytes that [`ReplyTo`] has counted for them.
    pub counted: AwaitedBytes,
}

/// The replies of a session that may be sent. The committer adds them, and the session takes them.
#[derive(Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
    times: Arc<ReplyTimes>,
    /// The bytes of replies that the clients of a shard's sessions have not taken yet.
    untaken_bytes: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Inner {
    replies: Vec<WireReply>,
    /// The bytes that [`ReplyTo`] has counted for them.
    counted: AwaitedBytes,
    /// Their own bytes.
    bytes: usize,
    /// Those of replies that did not wait for a commit: the session has counted the others from the beginning.
    untaken_bytes: usize,
    session: Option<Waker>,
    is_closed: bool,
}

impl Outbox {
    /// Makes an outbox whose replies are counted in `times`, and their bytes in `untaken_bytes` until they are drained.
    pub fn counted_in(times: Arc<ReplyTimes>, untaken_bytes: Arc<AtomicUsize>) -> Self {
        Outbox { inner: Mutex::default(), times, untaken_bytes }
    }

    /// Moves the replies to `into`, and returns their bytes. The session is woken when there are more.
    pub fn drain(&self, into: &mut Vec<WireReply>, context: &Context<'_>) -> Taken {
        let mut inner = self.lock();
        into.append(&mut inner.replies);
        match &mut inner.session {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        self.forget_untaken(&mut inner);
        Taken { bytes: std::mem::take(&mut inner.bytes), counted: std::mem::take(&mut inner.counted) }
    }

    /// Drops the replies, and those that are still to come.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.replies = Vec::new();
        self.forget_untaken(&mut inner);
    }

    fn push(&self, reply: WireReply, awaited: Awaited, counted: usize) {
        let mut inner = self.lock();
        if inner.is_closed {
            return;
        }
        let bytes = match awaited {
            Awaited::Commit => counted,
            Awaited::Order | Awaited::Storage => {
                let bytes = reply.encoded_len();
                inner.untaken_bytes += bytes;
                self.untaken_bytes.fetch_add(bytes, Ordering::Relaxed);
                bytes
            }
        };
        let was_empty = inner.replies.is_empty();
        inner.replies.push(reply);
        inner.bytes += bytes;
        inner.counted[awaited as usize] += counted;
        if was_empty && let Some(session) = &inner.session {
            session.wake_by_ref();
        }
    }

    /// Gives back what was counted for a reply.
    fn give_back(&self, awaited: Awaited, bytes: usize) {
        let mut inner = self.lock();
        inner.counted[awaited as usize] += bytes;
        if let Some(session) = &inner.session {
            session.wake_by_ref();
        }
    }

    fn forget_untaken(&self, inner: &mut Inner) {
        if inner.untaken_bytes > 0 {
            self.untaken_bytes.fetch_sub(std::mem::take(&mut inner.untaken_bytes), Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The destination of a reply: a session, and the request's id in it.
pub struct ReplyTo {
    /// The session's outbox.
    pub outbox: Arc<Outbox>,
    /// The request's id.
    pub id: u64,
    /// What the reply waited for when its wait began.
    pub awaited: Awaited,
    /// The bytes of the reply, with its id, if it waits for a commit; else the most that it can have.
    pub bytes: usize,
    /// The arrival of a customer's request; `None` for a request that is not counted.
    pub since: Option<Instant>,
}

impl ReplyTo {
    /// Counts fewer bytes for the reply, which is known by now to have no more.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        if surplus > 0 {
            self.bytes -= surplus;
            self.outbox.give_back(self.awaited, surplus);
        }
    }

    /// Sends a reply under the request's id.
    pub fn send(self, reply: WireReply) {
        self.send_at(Instant::now(), reply);
    }

    fn send_at(self, now: Instant, mut reply: WireReply) {
        reply.id = self.id;
        if let Some(since) = self.since {
            self.outbox.times.observe(now.saturating_duration_since(since), 1, u64::from(is_failure(&reply)));
        }
        self.outbox.push(reply, self.awaited, self.bytes);
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
    /// The bytes of its reply, if they were known when its wait began.
    pub fn bytes(&self) -> usize {
        match self {
            Waiter::Reply(reply_to, _) if reply_to.awaited == Awaited::Commit => reply_to.bytes,
            Waiter::Reply(..) | Waiter::Step(_) => 0,
        }
    }

    /// Tells the waiters of a commit that it is durable.
    pub fn wake_all(waiters: Vec<Waiter>) {
        let now = Instant::now();
        waiters.into_iter().for_each(|waiter| waiter.wake_at(now));
    }

    /// Tells the waiter that the commit is durable.
    pub fn wake(self) {
        self.wake_at(Instant::now());
    }

    fn wake_at(self, now: Instant) {
        match self {
            Waiter::Reply(reply_to, reply) => reply_to.send_at(now, reply),
            // An error means that nothing waits any more.
            Waiter::Step(step) => _ = step.send(()),
        }
    }
}
