//! The requests of one session: those to be sent, and those that wait for their reply. A slab keeps
//! both; the outgoing stream takes whatever is queued as one message, without any added delay.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::Stream;
use slab::Slab;
use tokio::sync::oneshot;

use super::COMMAND_TIMEOUT;
use crate::error::Error;
use crate::protocol::{MAX_BATCH, proto};

/// The most requests of one session that are queued or unanswered.
pub const MAX_OUTSTANDING: usize = 8_192;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The shard is down or the queue is full: nothing was sent.
    Refused(Error),
    /// The session ended before the request reached its stream.
    NotSent,
    /// The session ended after the request may have reached the shard.
    Sent,
    /// No reply came in time.
    TimedOut,
}

/// How a request ended.
pub type Outcome = Result<proto::Reply, Lost>;

struct Pending {
    /// `None` once it was answered for: the reply may still come.
    answer: Option<oneshot::Sender<Outcome>>,
    started: Instant,
    /// How long after that the reply is waited for.
    patience: Duration,
    /// Still to be put on the stream.
    queued: Option<proto::Request>,
}

#[derive(Default)]
struct Inner {
    pending: Slab<Pending>,
    queue: VecDeque<usize>,
    /// When the session's Hello was answered; `None` while it is down.
    up_since: Option<Instant>,
    hello: Option<proto::Hello>,
    sender: Option<Waker>,
    /// Which connection the stream belongs to; an older one's stream ends.
    generation: u64,
}

/// A session's requests.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request that arrived at `started` and whose reply is waited for so long; its outcome
    /// comes through the receiver.
    pub fn push(
        &self,
        request: proto::Request,
        started: Instant,
        patience: Duration,
    ) -> Result<oneshot::Receiver<Outcome>, Lost> {
        let mut inner = self.lock();
        if inner.up_since.is_none() {
            return Err(Lost::NotSent);
        }
        if inner.pending.len() >= MAX_OUTSTANDING {
            return Err(Lost::Refused(Error::Unavailable("the shard's queue is full; nothing was applied".into())));
        }
        let (answer, outcome) = oneshot::channel();
        let key = inner.pending.insert(Pending { answer: Some(answer), started, patience, queued: Some(request) });
        inner.queue.push_back(key);
        if let Some(sender) = inner.sender.take() {
            drop(inner);
            sender.wake();
        }
        Ok(outcome)
    }

    /// Begins a connection: its stream says `hello` and then waits for [`Queue::up`].
    pub fn begin(self: &Arc<Self>, hello: proto::Hello) -> Outgoing {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.hello = Some(hello);
        Outgoing { queue: self.clone(), generation: inner.generation }
    }

    /// The Hello was answered: requests are taken from now on.
    pub fn up(&self) {
        self.lock().up_since = Some(Instant::now());
    }

    /// The shard is about to end: nothing more is sent, and replies to what was sent still come.
    pub fn finish(&self) {
        let mut inner = self.lock();
        inner.up_since = None;
        inner.generation += 1;
        let queued = std::mem::take(&mut inner.queue);
        let unsent: Vec<_> = queued.into_iter().filter_map(|key| inner.pending.try_remove(key)).collect();
        let sender = inner.sender.take();
        drop(inner);
        for mut pending in unsent {
            pending.settle(Err(Lost::NotSent));
        }
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// The connection is gone: tells every request what is known of it.
    pub fn down(&self) {
        let mut inner = self.lock();
        inner.up_since = None;
        inner.generation += 1;
        inner.queue.clear();
        let pending = std::mem::take(&mut inner.pending);
        let sender = inner.sender.take();
        drop(inner);
        for (_, mut pending) in pending {
            let lost = if pending.queued.is_some() { Lost::NotSent } else { Lost::Sent };
            pending.settle(Err(lost));
        }
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// Hands each reply to its request.
    pub fn settle(&self, replies: Vec<proto::Reply>) {
        let mut inner = self.lock();
        for reply in replies {
            let key = usize::try_from(reply.id).unwrap_or(usize::MAX);
            if let Some(mut pending) = inner.pending.try_remove(key) {
                pending.settle(Ok(reply));
            }
        }
    }

    /// Gives up on requests without a reply for too long. Their places stay taken until the reply
    /// comes or the session ends, so that a late reply meets no other request.
    pub fn expire(&self) {
        let mut inner = self.lock();
        for (_, pending) in &mut inner.pending {
            if pending.started.elapsed() >= pending.patience {
                pending.settle(Err(Lost::TimedOut));
            }
        }
    }
}

impl Pending {
    fn settle(&mut self, outcome: Outcome) {
        if let Some(answer) = self.answer.take() {
            // Whoever asked may have gone away.
            let _ = answer.send(outcome);
        }
    }
}

impl Inner {
    /// Whatever is queued, as one message. A request nobody waits for any more is not sent.
    fn next_batch(&mut self, up_since: Instant) -> Option<proto::RequestBatch> {
        let mut requests = Vec::with_capacity(self.queue.len().min(MAX_BATCH));
        while requests.len() < MAX_BATCH {
            let Some(key) = self.queue.pop_front() else { break };
            let Some(pending) = self.pending.get_mut(key) else { continue };
            let Some(mut request) = pending.queued.take() else { continue };
            if pending.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
                self.pending.remove(key);
                continue;
            }
            request.id = key as u64;
            request.deadline_ms = deadline_ms(pending.started, up_since);
            requests.push(request);
        }
        (!requests.is_empty()).then_some(proto::RequestBatch { hello: None, requests })
    }
}

/// The deadline on the shard's clock. The shard counts from before it answered the Hello, so a
/// command is never started after the deadline here.
fn deadline_ms(started: Instant, up_since: Instant) -> u64 {
    let deadline = (started + COMMAND_TIMEOUT).saturating_duration_since(up_since);
    u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)
}

/// What one connection sends.
pub struct Outgoing {
    queue: Arc<Queue>,
    generation: u64,
}

impl Stream for Outgoing {
    type Item = proto::RequestBatch;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.queue.lock();
        if inner.generation != self.generation {
            return Poll::Ready(None);
        }
        if let Some(hello) = inner.hello.take() {
            return Poll::Ready(Some(proto::RequestBatch { hello: Some(hello), requests: Vec::new() }));
        }
        let batch = inner.up_since.and_then(|up_since| inner.next_batch(up_since));
        if batch.is_none() {
            inner.sender = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(batch)
    }
}

/// How often [`Queue::expire`] is to be called.
pub const EXPIRE_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn poll(outgoing: &mut Outgoing) -> Poll<Option<proto::RequestBatch>> {
        Pin::new(outgoing).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn begin(queue: &Arc<Queue>) -> Outgoing {
        let mut outgoing = queue.begin(proto::Hello::default());
        assert!(matches!(poll(&mut outgoing), Poll::Ready(Some(batch)) if batch.hello.is_some()));
        outgoing
    }

    #[test]
    fn what_is_queued_goes_out_as_one_message_and_replies_find_their_request() {
        let queue = Arc::new(Queue::default());
        let mut outgoing = begin(&queue);
        assert!(matches!(queue.push(proto::Request::default(), Instant::now(), PATIENCE), Err(Lost::NotSent)));
        queue.up();
        let mut outcomes: Vec<_> =
            (0..3).map(|_| queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap()).collect();
        let Poll::Ready(Some(batch)) = poll(&mut outgoing) else { panic!("nothing was sent") };
        let ids: Vec<_> = batch.requests.iter().map(|request| request.id).collect();
        assert_eq!(ids, [0, 1, 2]);
        queue.settle(vec![proto::Reply { id: 1, at: 7, ..proto::Reply::default() }]);
        assert_eq!(outcomes[1].try_recv().unwrap().unwrap().at, 7);
        assert!(outcomes[0].try_recv().is_err());
    }

    #[test]
    fn the_end_of_a_session_tells_what_was_sent_from_what_was_not() {
        let queue = Arc::new(Queue::default());
        let mut outgoing = begin(&queue);
        queue.up();
        let mut sent = queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap();
        assert!(poll(&mut outgoing).is_ready());
        let mut queued = queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap();
        queue.down();
        assert_eq!(sent.try_recv().unwrap().unwrap_err(), Lost::Sent);
        assert_eq!(queued.try_recv().unwrap().unwrap_err(), Lost::NotSent);
        assert!(matches!(poll(&mut outgoing), Poll::Ready(None)));
    }

    #[test]
    fn a_shard_that_says_goodbye_still_answers_what_was_sent() {
        let queue = Arc::new(Queue::default());
        let mut outgoing = begin(&queue);
        queue.up();
        let mut sent = queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap();
        assert!(poll(&mut outgoing).is_ready());
        let mut queued = queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap();
        queue.finish();
        assert!(matches!(poll(&mut outgoing), Poll::Ready(None)));
        assert_eq!(queued.try_recv().unwrap().unwrap_err(), Lost::NotSent);
        queue.settle(vec![proto::Reply { id: 0, ..proto::Reply::default() }]);
        assert!(sent.try_recv().unwrap().is_ok());
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent_and_frees_its_place() {
        let queue = Arc::new(Queue::default());
        let mut outgoing = begin(&queue);
        queue.up();
        drop(queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap());
        assert!(poll(&mut outgoing).is_pending());
        assert_eq!(queue.lock().pending.len(), 0);
    }

    #[test]
    fn a_late_reply_meets_no_other_request() {
        let queue = Arc::new(Queue::default());
        let mut outgoing = begin(&queue);
        queue.up();
        let Some(long_ago) = Instant::now().checked_sub(PATIENCE) else { return };
        let mut late = queue.push(proto::Request::default(), long_ago, PATIENCE).unwrap();
        assert!(poll(&mut outgoing).is_ready());
        queue.expire();
        assert_eq!(late.try_recv().unwrap().unwrap_err(), Lost::TimedOut);
        let mut next = queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap();
        queue.settle(vec![proto::Reply { id: 0, ..proto::Reply::default() }]);
        assert!(next.try_recv().is_err());
    }

    #[test]
    fn a_full_queue_refuses() {
        let queue = Arc::new(Queue::default());
        queue.up();
        let outcomes: Vec<_> = (0..MAX_OUTSTANDING)
            .map(|_| queue.push(proto::Request::default(), Instant::now(), PATIENCE).unwrap())
            .collect();
        assert!(matches!(queue.push(proto::Request::default(), Instant::now(), PATIENCE), Err(Lost::Refused(_))));
        drop(outcomes);
    }
}
