//! One session with a client, a facade or another shard: a stream that runs the commands that arrive and yields their
//! replies, in one task and without a queue in between.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tonic::{Status, Streaming};

use super::connection::{Greeted, HANDSHAKE_TIMEOUT};
use crate::error::Error;
use crate::protocol::{
    self, Hello, MAX_BATCH, MAX_REPLY_BATCH_BYTES, Request, RequestClass, SenderClock, WireReply, is_failure, proto,
};
use crate::shard::clock;
use crate::shard::context::ShardContext;
use crate::shard::continuation;
use crate::shard::dispatch::{self, Execution};
use crate::shard::engine::{CommitDependency, Outbox, ReplyTo, Waiter};
use crate::shard::fetch;

/// The most commands of one session that wait for their commit. Past that no more are read, and HTTP/2's flow control
/// stops the sender.
const MAX_OUTSTANDING: usize = 8_192;
/// The bytes of one session's replies that wait for their commit, past which no more commands run.
const MAX_WAITING_BYTES: usize = 8 << 20;
/// The bytes of replies that may be sent, past which no more commands run.
const MAX_READY_BYTES: usize = 1 << 20;

/// The stream of a session's replies.
pub struct Session {
    context: Arc<ShardContext>,
    inbound: Streaming<proto::RequestBatch>,
    outbox: Arc<Outbox>,
    /// The replies that may be sent.
    ready: Vec<WireReply>,
    ready_bytes: usize,
    /// The bytes of the replies that wait for a commit.
    waiting_bytes: usize,
    /// The commands of the last message that have not run yet.
    backlog: Option<Backlog>,
    greeted: Greeted,
    /// The end of the time for the Hello.
    hello_timeout: Pin<Box<Sleep>>,
    /// The time of the Hello; `None` until then.
    opened: Option<Instant>,
    /// The client's clock, in which deadlines are.
    client_clock: SenderClock,
    /// The answer to the Hello, until what it says is durable.
    greeting: Option<Greeting>,
    /// The number of commands whose replies wait for a commit.
    outstanding: usize,
    /// True once the client was told to send no more.
    is_draining: bool,
    /// True once no more commands are read.
    closing: bool,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The answer to a Hello, which waits for a commit.
struct Greeting {
    received: Instant,
    durable: oneshot::Receiver<()>,
    answer: proto::ReplyBatch,
}

/// Commands of a message that wait until there is room for their replies.
struct Backlog {
    requests: std::vec::IntoIter<proto::Request>,
    arrived: Instant,
    /// The time of the client's clock when the message arrived.
    clients_then: Duration,
}

/// The replies to customers' requests of one message that need not wait for a commit.
#[derive(Default)]
struct AtOnce {
    replies: u64,
    /// Those that say that the shard failed.
    failures: u64,
}

impl AtOnce {
    fn note(&mut self, class: Option<RequestClass>, reply: &WireReply) {
        if class.is_some() {
            self.replies += 1;
            self.failures += u64::from(is_failure(reply));
        }
    }
}

type Item = Result<proto::ReplyBatch, Status>;

impl Session {
    /// Makes the session of a stream of commands.
    pub fn new(context: Arc<ShardContext>, inbound: Streaming<proto::RequestBatch>, greeted: Greeted) -> Self {
        let mut shutdown = context.shutdown.clone();
        let outbox = Arc::new(Outbox::counted_in(context.reply_times.clone()));
        Session {
            context,
            inbound,
            outbox,
            ready: Vec::new(),
            ready_bytes: 0,
            waiting_bytes: 0,
            backlog: None,
            greeted,
            hello_timeout: Box::pin(tokio::time::sleep(HANDSHAKE_TIMEOUT)),
            opened: None,
            client_clock: SenderClock::default(),
            greeting: None,
            outstanding: 0,
            is_draining: false,
            closing: false,
            shutdown: Box::pin(async move { shutdown.wait().await }),
        }
    }

    fn greet(&mut self, batch: proto::RequestBatch) -> Result<(), Status> {
        let received = Instant::now();
        let hello = batch.hello.ok_or_else(|| Status::invalid_argument("a session begins with a Hello"))?;
        let hello = Hello::try_from(hello).map_err(|error| protocol::status_of(&error))?;
        let mut writer = self.context.writer.lock();
        let ours = self.context.identity.greet(&mut writer, &hello).map_err(|error| protocol::status_of(&error))?;
        let (step, durable) = oneshot::channel();
        let dependency = writer.dependency_on_all();
        writer.wait(dependency, Waiter::Step(step));
        self.context.writer.commit(writer);
        let answer = proto::ReplyBatch { hello: Some(proto::Hello::from(&ours)), ..proto::ReplyBatch::default() };
        self.greeting = Some(Greeting { received, durable, answer });
        self.greeted.set();
        Ok(())
    }

    /// The answer to the Hello, once what it says is durable. Commands are read from then on.
    fn poll_greeting(&mut self, context: &mut Context<'_>) -> Option<proto::ReplyBatch> {
        let greeting = self.greeting.as_mut()?;
        if Pin::new(&mut greeting.durable).poll(context).is_pending() {
            return None;
        }
        let Greeting { received, answer, .. } = self.greeting.take()?;
        self.opened = Some(received);
        Some(answer)
    }

    fn accept(&mut self, opened: Instant, batch: proto::RequestBatch) -> Backlog {
        let arrived = Instant::now();
        let clients_then = self.client_clock.observe(arrived - opened, Duration::from_micros(batch.sent_us));
        self.context.operations.fetch_add(batch.requests.len() as u64, Ordering::Relaxed);
        Backlog { requests: batch.requests.into_iter(), arrived, clients_then }
    }

    /// True while there is no room for more replies.
    fn is_full(&self) -> bool {
        self.ready.len() >= MAX_BATCH
            || self.ready_bytes >= MAX_READY_BYTES
            || self.outstanding >= MAX_OUTSTANDING
            || self.waiting_bytes >= MAX_WAITING_BYTES
    }

    /// Runs commands until there is no room for more replies. The rest stays in the backlog.
    fn run(&mut self, mut backlog: Backlog) {
        let shared = self.context.writer.clone();
        let now = clock::moment();
        let (arrived_first, arrived) = (backlog.arrived, Instant::now());
        let clients_now = backlog.clients_then + (arrived - backlog.arrived);
        let mut at_once = AtOnce::default();
        let mut writer = shared.lock();
        while let Some(message) = if self.is_full() { None } else { backlog.requests.next() } {
            let id = message.id;
            let deadline = Duration::from_millis(message.deadline_ms);
            let request = match protocol::decode_request(message) {
                Ok(request) => request,
                Err(error) => {
                    self.push_ready(WireReply { id, ..protocol::encode_reply(Err(error), now.system) });
                    continue;
                }
            };
            let class = RequestClass::of(&request.command);
            if let Some(class) = class {
                writer.requests_mut().note(class, request.command.owner().map(|_| request.hash));
            }
            let since = class.map(|_| arrived_first);
            let execution = match deadline < clients_now {
                true => Execution::Replied(
                    protocol::encode_reply(Err(too_late(&request)), now.system),
                    CommitDependency::None,
                ),
                false => dispatch::execute(&mut writer, &request, now, &[]),
            };
            match execution {
                Execution::Replied(reply, CommitDependency::None) => {
                    at_once.note(class, &reply);
                    self.push_ready(WireReply { id, ..reply });
                }
                Execution::Replied(reply, dependency) => {
                    let reply_to = self.reply_to(id, reply.encoded_len(), since);
                    writer.wait(dependency, Waiter::Reply(reply_to, reply));
                }
                Execution::Continues(continuation) => {
                    let reply_to = self.reply_to(id, 0, since);
                    let expires = arrived + deadline.saturating_sub(clients_now);
                    continuation::start(&self.context, continuation, expires.into(), reply_to);
                }
                Execution::Fetch(missing) => {
                    let reply_to = self.reply_to(id, 0, since);
                    let expires = arrived + deadline.saturating_sub(clients_now);
                    fetch::start(&self.context, request, expires.into(), missing, reply_to);
                }
            }
        }
        shared.commit(writer);
        self.context.reply_times.observe(arrived_first.elapsed(), at_once.replies, at_once.failures);
        self.backlog = (!backlog.requests.as_slice().is_empty()).then_some(backlog);
    }

    fn push_ready(&mut self, reply: WireReply) {
        self.ready_bytes += reply.encoded_len();
        self.ready.push(reply);
    }

    /// The destination of a reply that comes later. It counts as outstanding until then, and so do its bytes, as far as
    /// there are any yet.
    fn reply_to(&mut self, id: u64, bytes: usize, since: Option<Instant>) -> ReplyTo {
        self.outstanding += 1;
        self.waiting_bytes += bytes;
        ReplyTo { outbox: self.outbox.clone(), id, bytes, since }
    }

    /// Runs commands while there are any and there is room for their replies.
    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while !self.is_full() {
            if let Some(backlog) = self.backlog.take() {
                self.run(backlog);
                self.collect(context);
                continue;
            }
            if self.closing || self.greeting.is_some() {
                return Ok(());
            }
            match (Pin::new(&mut self.inbound).poll_next(context), self.opened) {
                (Poll::Ready(Some(batch)), Some(opened)) => self.backlog = Some(self.accept(opened, batch?)),
                (Poll::Ready(Some(batch)), None) => self.greet(batch?)?,
                (Poll::Ready(None), _) => self.closing = true,
                (Poll::Pending, None) if self.hello_timeout.as_mut().poll(context).is_ready() => {
                    return Err(Status::deadline_exceeded("the Hello did not come in time"));
                }
                (Poll::Pending, _) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes the replies whose commit is durable. The task is woken when there are more.
    fn collect(&mut self, context: &Context<'_>) {
        let before = self.ready.len();
        self.waiting_bytes -= self.outbox.drain(&mut self.ready, context);
        self.outstanding -= self.ready.len() - before;
        self.ready_bytes += self.ready[before..].iter().map(WireReply::encoded_len).sum::<usize>();
    }

    /// Takes as many replies as one message holds.
    fn next_batch(&mut self) -> proto::ReplyBatch {
        let (mut count, mut bytes) = (0, 0);
        for reply in self.ready.iter().take(MAX_BATCH) {
            if bytes >= MAX_REPLY_BATCH_BYTES {
                break;
            }
            bytes += reply.encoded_len();
            count += 1;
        }
        self.ready_bytes -= bytes;
        let rest = self.ready.split_off(count);
        proto::ReplyBatch { replies: std::mem::replace(&mut self.ready, rest), ..proto::ReplyBatch::default() }
    }
}

fn too_late(request: &Request) -> Error {
    Error::Unavailable(match request.is_read() {
        true => "the deadline had passed".into(),
        false => "the deadline had passed; nothing was applied".into(),
    })
}

impl Stream for Session {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = self.get_mut();
        if !this.is_draining && this.shutdown.as_mut().poll(context).is_ready() {
            this.is_draining = true;
            // A session that was opened still runs the commands on their way; others have none.
            this.closing |= this.opened.is_none();
            return Poll::Ready(Some(Ok(proto::ReplyBatch { goodbye: true, ..proto::ReplyBatch::default() })));
        }
        this.collect(context);
        if let Err(refusal) = this.read(context) {
            this.closing = true;
            this.backlog = None;
            return Poll::Ready(Some(Err(refusal)));
        }
        if let Some(answer) = this.poll_greeting(context) {
            return Poll::Ready(Some(Ok(answer)));
        }
        if !this.ready.is_empty() {
            return Poll::Ready(Some(Ok(this.next_batch())));
        }
        if this.closing && this.backlog.is_none() && this.outstanding == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}
