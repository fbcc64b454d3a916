//! The requests of one session: those to be sent, and those that wait for their reply. A slab keeps both. The
//! session's stream sends all queued requests as one message, without waiting for more.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::Stream;
use prost::Message as _;
use slab::Slab;
use tokio::sync::{oneshot, watch};

use crate::protocol::{CardKey, MAX_BATCH, MAX_REQUEST_BATCH_BYTES, proto};

/// The time from the arrival of a request within which the shard may start its command.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(4_500);
/// The interval at which [`Queue::expire`] is called.
pub const EXPIRE_INTERVAL: Duration = Duration::from_millis(100);
/// The most requests of one session that are queued or unanswered.
const MAX_OUTSTANDING: usize = 8_192;

/// The reason for the lack of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// The session is down: nothing was sent.
    Down,
    /// Too many requests wait: nothing was sent.
    QueueFull,
    /// The session ended before the request reached its stream.
    NotSent,
    /// The session ended after the request may have reached the shard.
    Sent,
    /// No reply came in time.
    TimedOut,
}

/// The reply to a request, or the reason for its lack.
pub type CallResult = Result<proto::Reply, CallError>;

struct Pending {
    /// `None` once the call is complete, although its reply may still come.
    caller: Option<oneshot::Sender<CallResult>>,
    started: Instant,
    /// The time limit of the reply.
    timeout: Duration,
    /// The request, until the stream takes it.
    queued: Option<proto::Request>,
}

#[derive(Default)]
struct Inner {
    pending: Slab<Pending>,
    queue: VecDeque<usize>,
    sender: Option<Waker>,
    /// The number of the present connection. The stream of an older one ends.
    generation: u64,
    /// The key for the numbers of cards of the present connection, if the shard has agreed on one.
    card_key: Option<CardKey>,
}

/// The requests of one session.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// True from the answer to the Hello to the end of the session. It changes only while `inner` is locked.
    is_up: watch::Sender<bool>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request that arrived at `started`. The receiver gets the reply, or an error once `timeout` has passed
    /// since then.
    ///
    /// # Errors
    /// [`CallError::Down`] or [`CallError::QueueFull`].
    pub fn push(
        &self,
        request: proto::Request,
        started: Instant,
        timeout: Duration,
    ) -> Result<oneshot::Receiver<CallResult>, CallError> {
        let mut inner = self.lock();
        if !*self.is_up.borrow() {
            return Err(CallError::Down);
        }
        if inner.pending.len() >= MAX_OUTSTANDING {
            return Err(CallError::QueueFull);
        }
        let (caller, result) = oneshot::channel();
        let key = inner.pending.insert(Pending { caller: Some(caller), started, timeout, queued: Some(request) });
        inner.queue.push_back(key);
        if let Some(sender) = inner.sender.take() {
            drop(inner);
            sender.wake();
        }
        Ok(result)
    }

    /// Begins a connection. Its stream sends `hello` and then waits for [`Queue::up`].
    pub fn begin(self: &Arc<Self>, hello: proto::Hello) -> RequestStream {
        let mut inner = self.lock();
        inner.generation += 1;
        RequestStream { queue: self.clone(), generation: inner.generation, begun: Instant::now(), hello: Some(hello) }
    }

    /// Takes requests from now on, since the shard has answered the Hello and agreed on a key, or on none.
    pub fn up(&self, card_key: Option<CardKey>) {
        let mut inner = self.lock();
        inner.card_key = card_key;
        self.is_up.send_replace(true);
    }

    /// Waits until the session is up; false when it is not up in time.
    pub async fn wait_until_up(&self, timeout: Duration) -> bool {
        let mut is_up = self.is_up.subscribe();
        matches!(tokio::time::timeout(timeout, is_up.wait_for(|is_up| *is_up)).await, Ok(Ok(_)))
    }

    /// Sends nothing more, since the shard is about to end. Replies to requests already sent still come.
    pub fn finish(&self) {
        let mut inner = self.lock();
        self.is_up.send_replace(false);
        inner.generation += 1;
        let queued = std::mem::take(&mut inner.queue);
        let unsent: Vec<_> = queued.into_iter().filter_map(|key| inner.pending.try_remove(key)).collect();
        let sender = inner.sender.take();
        drop(inner);
        for mut pending in unsent {
            pending.complete(Err(CallError::NotSent));
        }
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// Ends the connection. Completes each request with [`CallError::Sent`] or [`CallError::NotSent`].
    pub fn down(&self) {
        let mut inner = self.lock();
        self.is_up.send_replace(false);
        inner.generation += 1;
        inner.queue.clear();
        let pending = std::mem::take(&mut inner.pending);
        let sender = inner.sender.take();
        drop(inner);
        for (_, mut pending) in pending {
            let error = if pending.queued.is_some() { CallError::NotSent } else { CallError::Sent };
            pending.complete(Err(error));
        }
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// Completes the requests of these replies.
    pub fn complete(&self, replies: Vec<proto::Reply>) {
        let mut inner = self.lock();
        for reply in replies {
            let key = usize::try_from(reply.id).unwrap_or(usize::MAX);
            if let Some(mut pending) = inner.pending.try_remove(key) {
                pending.complete(Ok(reply));
            }
        }
    }

    /// Times out requests. Their ids are not reused until the reply arrives or the session ends.
    pub fn expire(&self) {
        let mut inner = self.lock();
        for (_, pending) in &mut inner.pending {
            if pending.started.elapsed() >= pending.timeout {
                pending.complete(Err(CallError::TimedOut));
            }
        }
    }
}

impl Pending {
    fn complete(&mut self, result: CallResult) {
        if let Some(caller) = self.caller.take() {
            // An error means that the caller no longer waits.
            let _ = caller.send(result);
        }
    }
}

impl Inner {
    /// Takes the queued requests as one message, without those whose caller no longer waits.
    fn next_batch(&mut self, begun: Instant) -> Option<proto::RequestBatch> {
        let mut requests = Vec::with_capacity(self.queue.len().min(MAX_BATCH));
        let mut bytes = 0;
        while requests.len() < MAX_BATCH && bytes < MAX_REQUEST_BATCH_BYTES {
            let Some(key) = self.queue.pop_front() else { break };
            let Some(pending) = self.pending.get_mut(key) else { continue };
            let Some(mut request) = pending.queued.take() else { continue };
            if pending.caller.as_ref().is_none_or(oneshot::Sender::is_closed) {
                self.pending.remove(key);
                continue;
            }
            request.id = key as u64;
            request.deadline_ms = deadline_ms(pending.started, begun);
            if let Some(key) = &mut self.card_key {
                key.seal(&mut request);
            }
            bytes += request.encoded_len();
            requests.push(request);
        }
        let sent_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        (!requests.is_empty()).then_some(proto::RequestBatch { hello: None, requests, sent_us })
    }
}

/// The deadline on this side's clock, in milliseconds.
fn deadline_ms(started: Instant, begun: Instant) -> u64 {
    let deadline = (started + COMMAND_TIMEOUT).saturating_duration_since(begun);
    u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)
}

/// The requests that one connection sends.
pub struct RequestStream {
    queue: Arc<Queue>,
    generation: u64,
    /// The time from which times count. It is before the Hello, and the shard counts from the arrival of the Hello: this
    /// side's zero is never the later one, however late the answer is.
    begun: Instant,
    /// The Hello, until the stream has yielded it.
    hello: Option<proto::Hello>,
}

impl Stream for RequestStream {
    type Item = proto::RequestBatch;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut inner = this.queue.lock();
        if inner.generation != this.generation {
            return Poll::Ready(None);
        }
        if let Some(hello) = this.hello.take() {
            return Poll::Ready(Some(proto::RequestBatch { hello: Some(hello), ..proto::RequestBatch::default() }));
        }
        let is_up = *this.queue.is_up.borrow();
        let batch = if is_up { inner.next_batch(this.begun) } else { None };
        if batch.is_none() {
            inner.sender = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MAX_REQUEST_MESSAGE_BYTES;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn poll(stream: &mut RequestStream) -> Poll<Option<proto::RequestBatch>> {
        Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn begin(queue: &Arc<Queue>) -> RequestStream {
        let mut stream = queue.begin(proto::Hello::default());
        assert!(matches!(poll(&mut stream), Poll::Ready(Some(batch)) if batch.hello.is_some()));
        stream
    }

    #[test]
    fn queued_requests_are_one_message_and_replies_find_their_requests() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        assert!(matches!(queue.push(proto::Request::default(), Instant::now(), TIMEOUT), Err(CallError::Down)));
        queue.up(None);
        let mut results: Vec<_> =
            (0..3).map(|_| queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap()).collect();
        let Poll::Ready(Some(batch)) = poll(&mut stream) else { panic!("nothing was sent") };
        let ids: Vec<_> = batch.requests.iter().map(|request| request.id).collect();
        assert_eq!(ids, [0, 1, 2]);
        queue.complete(vec![proto::Reply { id: 1, at: 7, ..proto::Reply::default() }]);
        assert_eq!(results[1].try_recv().unwrap().unwrap().at, 7);
        assert!(results[0].try_recv().is_err());
    }

    #[test]
    fn a_message_is_limited_in_bytes() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        queue.up(None);
        // A checkout of many lines with long ids: 300 of them in one message would be past what a shard reads.
        let products = (0..230).map(|line| proto::Line { product: format!("{line:0128}"), count: 1 }).collect();
        let hold = proto::Hold { lines: products, ..proto::Hold::default() };
        let large = proto::Request { command: Some(proto::request::Command::Hold(hold)), ..proto::Request::default() };
        let _results: Vec<_> = (0..300).map(|_| queue.push(large.clone(), Instant::now(), TIMEOUT).unwrap()).collect();
        let mut sent = 0;
        while let Poll::Ready(Some(batch)) = poll(&mut stream) {
            sent += batch.requests.len();
            assert!(batch.encoded_len() <= MAX_REQUEST_MESSAGE_BYTES);
        }
        assert_eq!(sent, 300);
    }

    #[test]
    fn times_count_from_the_hello_and_not_from_its_answer() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        let greeted = Instant::now();
        queue.up(None);
        let _result = queue.push(proto::Request::default(), greeted, TIMEOUT).unwrap();
        let at_least = greeted.elapsed();
        let Poll::Ready(Some(batch)) = poll(&mut stream) else { panic!("nothing was sent") };
        assert!(u128::from(batch.sent_us) >= at_least.as_micros());
        assert!(u128::from(batch.requests[0].deadline_ms) >= COMMAND_TIMEOUT.as_millis());
    }

    #[test]
    fn the_end_of_a_session_tells_sent_requests_from_unsent_ones() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        queue.up(None);
        let mut sent = queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap();
        assert!(poll(&mut stream).is_ready());
        let mut queued = queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap();
        queue.down();
        assert_eq!(sent.try_recv().unwrap().unwrap_err(), CallError::Sent);
        assert_eq!(queued.try_recv().unwrap().unwrap_err(), CallError::NotSent);
        assert!(matches!(poll(&mut stream), Poll::Ready(None)));
    }

    #[test]
    fn a_shard_that_is_ending_still_answers_sent_requests() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        queue.up(None);
        let mut sent = queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap();
        assert!(poll(&mut stream).is_ready());
        let mut queued = queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap();
        queue.finish();
        assert!(matches!(poll(&mut stream), Poll::Ready(None)));
        assert_eq!(queued.try_recv().unwrap().unwrap_err(), CallError::NotSent);
        queue.complete(vec![proto::Reply { id: 0, ..proto::Reply::default() }]);
        assert!(sent.try_recv().unwrap().is_ok());
    }

    #[test]
    fn a_request_without_a_caller_is_not_sent_and_frees_its_place() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        queue.up(None);
        drop(queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap());
        assert!(poll(&mut stream).is_pending());
        assert_eq!(queue.lock().pending.len(), 0);
    }

    #[test]
    fn a_late_reply_completes_no_other_request() {
        let queue = Arc::new(Queue::default());
        let mut stream = begin(&queue);
        queue.up(None);
        let Some(long_ago) = Instant::now().checked_sub(TIMEOUT) else { return };
        let mut late = queue.push(proto::Request::default(), long_ago, TIMEOUT).unwrap();
        assert!(poll(&mut stream).is_ready());
        queue.expire();
        assert_eq!(late.try_recv().unwrap().unwrap_err(), CallError::TimedOut);
        let mut next = queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap();
        queue.complete(vec![proto::Reply { id: 0, ..proto::Reply::default() }]);
        assert!(next.try_recv().is_err());
    }

    #[test]
    fn a_full_queue_refuses() {
        let queue = Arc::new(Queue::default());
        queue.up(None);
        let results: Vec<_> = (0..MAX_OUTSTANDING)
            .map(|_| queue.push(proto::Request::default(), Instant::now(), TIMEOUT).unwrap())
            .collect();
        assert!(matches!(queue.push(proto::Request::default(), Instant::now(), TIMEOUT), Err(CallError::QueueFull)));
        drop(results);
    }
}
