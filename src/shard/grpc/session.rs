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

use super::asked::{self, Asked, Now};
use super::connection::{Greeted, HANDSHAKE_TIMEOUT};
use super::deferred::{Deferred, Room};
use crate::protocol::{
    self, CardKey, Hello, KeyOffer, MAX_BATCH, MAX_RECORD_REPLY_BYTES, MAX_REPLY_BATCH_BYTES, RequestClass,
    SenderClock, WireReply, is_failure, proto,
};
use crate::shard::clock;
use crate::shard::context::ShardContext;
use crate::shard::continuation;
use crate::shard::dispatch::{self, Execution};
use crate::shard::engine::{Awaited, AwaitedBytes, CommitDependency, Outbox, ReplyTo, Waiter, Writer};
use crate::shard::fetch;

/// The most commands of one session that wait for their commit. Past that no more are read, and HTTP/2's flow control
/// stops the sender.
pub(super) const MAX_OUTSTANDING: usize = 8_192;
/// The bytes of one session's replies that wait for their commit, past which no more commands run.
pub(super) const MAX_WAITING_BYTES: usize = 8 << 20;
/// The bytes of replies that may be sent, past which no more commands run.
const MAX_READY_BYTES: usize = 1 << 20;
/// The bytes that one session's replies may have at most when they come later, past which none of their kind is begun.
const MAX_LATER_BYTES: usize = 8 << 20;
/// The bytes of replies that the clients of all sessions have not taken yet, past which a session runs few commands at a
/// time: up to [`SHARE_BYTES`] of replies, and one that comes later of each kind.
const MAX_UNTAKEN_BYTES: usize = 64 << 20;
/// The bytes of one session's replies up to which its commands run however much others have not taken.
const SHARE_BYTES: usize = 16 << 10;

/// The stream of a session's replies.
pub struct Session {
    context: Arc<ShardContext>,
    inbound: Streaming<proto::RequestBatch>,
    outbox: Arc<Outbox>,
    /// The replies that may be sent.
    ready: Vec<WireReply>,
    ready_bytes: usize,
    /// The bytes of the last message, until the client has taken it.
    leaving_bytes: usize,
    /// What this session has added to the bytes that no client has taken yet.
    untaken_bytes: usize,
    /// The bytes of the replies that wait, at most.
    waiting: AwaitedBytes,
    /// The commands of the last message that have not run yet.
    backlog: Backlog,
    /// The commands that wait for room for their replies.
    deferred: Deferred,
    greeted: Greeted,
    /// The end of the time for the Hello.
    hello_timeout: Pin<Box<Sleep>>,
    /// The time of the Hello; `None` until then.
    opened: Option<Instant>,
    /// The client's clock, in which deadlines are.
    client_clock: SenderClock,
    /// The answer to the Hello, until what it says is durable.
    greeting: Option<Greeting>,
    /// The key for the numbers of cards, if the client has offered to agree on one.
    card_key: Option<CardKey>,
    /// The number of commands whose replies wait.
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
    fn note(&mut self, since: Option<Instant>, reply: &WireReply) {
        if since.is_some() {
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
        let outbox = Arc::new(Outbox::counted_in(context.reply_times.clone(), context.untaken_bytes.clone()));
        Session {
            context,
            inbound,
            outbox,
            ready: Vec::new(),
            ready_bytes: 0,
            leaving_bytes: 0,
            untaken_bytes: 0,
            waiting: AwaitedBytes::default(),
            backlog: Backlog {
                requests: Vec::new().into_iter(),
                arrived: Instant::now(),
                clients_then: Duration::ZERO,
            },
            deferred: Deferred::default(),
            greeted,
            hello_timeout: Box::pin(tokio::time::sleep(HANDSHAKE_TIMEOUT)),
            opened: None,
            client_clock: SenderClock::default(),
            greeting: None,
            card_key: None,
            outstanding: 0,
            is_draining: false,
            closing: false,
            shutdown: Box::pin(async move { shutdown.wait().await }),
        }
    }

    fn greet(&mut self, batch: proto::RequestBatch) -> Result<(), Status> {
        let received = Instant::now();
        let mut hello = batch.hello.ok_or_else(|| Status::invalid_argument("a session begins with a Hello"))?;
        let clients_key = std::mem::take(&mut hello.card_key);
        let hello = Hello::try_from(hello).map_err(|error| protocol::status_of(&error))?;
        let mut writer = self.context.writer.lock();
        let ours = self.context.identity.greet(&mut writer, &hello).map_err(|error| protocol::status_of(&error))?;
        let (step, durable) = oneshot::channel();
        let dependency = writer.dependency_on_all();
        writer.wait(dependency, Waiter::Step(step));
        self.context.writer.commit(writer);
        let mut ours = proto::Hello::from(&ours);
        if !clients_key.is_empty() {
            let offer = KeyOffer::new().map_err(|error| protocol::status_of(&error))?;
            let public = offer.public().to_vec();
            self.card_key = offer.agree_with_client(&clients_key);
            ours.card_key = if self.card_key.is_some() { public } else { Vec::new() };
        }
        let answer = proto::ReplyBatch { hello: Some(ours), ..proto::ReplyBatch::default() };
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
        let [waiting_bytes, ..] = self.waiting;
        self.ready.len() >= MAX_BATCH
            || self.ready_bytes >= MAX_READY_BYTES
            || self.outstanding >= MAX_OUTSTANDING
            || waiting_bytes >= MAX_WAITING_BYTES
            || (self.ready_bytes + waiting_bytes >= SHARE_BYTES && self.is_crowded())
    }

    /// True while the shard holds too many bytes that no client takes.
    fn is_crowded(&self) -> bool {
        self.context.untaken_bytes.load(Ordering::Relaxed) >= MAX_UNTAKEN_BYTES
    }

    /// The kinds of replies that come later for which there is room.
    fn room(&self) -> Room {
        let has_room = |begun| begun == 0 || (begun < MAX_LATER_BYTES && !self.is_crowded());
        let [_, orders, reads] = self.waiting.map(has_room);
        Room { orders, reads }
    }

    /// True when a command can run, if there is room for its reply.
    fn has_work(&self) -> bool {
        (!self.backlog.requests.as_slice().is_empty() && !self.deferred.is_full())
            || (!self.deferred.is_empty() && self.deferred.has_next(self.room()))
    }

    /// Runs commands until there is no room for more replies. The rest stays in the backlog.
    fn run(&mut self) {
        let shared = self.context.writer.clone();
        let (arrived, instant) = (self.backlog.arrived, Instant::now());
        let now = Now {
            moment: clock::moment_at(instant),
            instant,
            clients: self.backlog.clients_then + (instant - arrived),
        };
        let mut at_once = AtOnce::default();
        let mut writer = shared.lock();
        while !self.is_full() {
            let asked = match self.next_deferred() {
                Some(asked) => asked,
                None if self.deferred.is_full() => break,
                None => {
                    let Some(message) = self.backlog.requests.next() else { break };
                    let Some(asked) = self.decode(&mut writer, message, &now) else { continue };
                    asked
                }
            };
            self.start(&mut writer, asked, &now, &mut at_once);
        }
        shared.commit(writer);
        self.context.reply_times.observe(arrived.elapsed(), at_once.replies, at_once.failures);
    }

    fn next_deferred(&mut self) -> Option<Asked> {
        if self.deferred.is_empty() {
            return None;
        }
        let asked = self.deferred.next(self.room())?;
        self.outstanding -= 1;
        Some(asked)
    }

    fn decode(&mut self, writer: &mut Writer, mut message: proto::Request, now: &Now) -> Option<Asked> {
        let (id, deadline) = (message.id, Duration::from_millis(message.deadline_ms));
        let opened = self.card_key.as_ref().map_or(Ok(()), |key| key.open(&mut message));
        let request = match opened.and_then(|()| protocol::decode_request(message)) {
            Ok(request) => request,
            Err(error) => {
                self.push_ready(WireReply { id, ..protocol::encode_reply(Err(error), now.moment.system) });
                return None;
            }
        };
        let class = RequestClass::of(&request.command);
        if let Some(class) = class {
            writer.requests_mut().note(class, request.command.owner().map(|_| request.hash));
        }
        let since = class.map(|_| self.backlog.arrived);
        Some(Asked { id, request, deadline, since, deferred_bytes: 0 })
    }

    /// Runs a command, or lets it wait for room for its reply.
    fn start(&mut self, writer: &mut Writer, asked: Asked, now: &Now, at_once: &mut AtOnce) {
        let room = self.room();
        if !(room.orders && room.reads)
            && let Some(awaited) = asked::awaited(&asked.request.command).filter(|awaited| !room.is_for(*awaited))
            && asked.deadline >= now.clients
        {
            return self.defer(awaited, asked);
        }
        let execution = match asked.deadline < now.clients {
            true => Execution::Replied(
                protocol::encode_reply(Err(asked.too_late()), now.moment.system),
                CommitDependency::None,
            ),
            false => dispatch::execute(writer, &asked.request, now.moment, &[]),
        };
        match execution {
            Execution::Replied(mut reply, CommitDependency::None) if asked.deferred_bytes == 0 => {
                reply.id = asked.id;
                at_once.note(asked.since, &reply);
                self.push_ready(reply);
            }
            Execution::Replied(mut reply, dependency) => {
                reply.id = asked.id;
                let reply_to = self.reply_to(&asked, Awaited::Commit, reply.encoded_len());
                writer.wait(dependency, Waiter::Reply(reply_to, reply));
            }
            Execution::Continues(continuation) => {
                let (awaited, bytes) = continuation::awaited(writer, &continuation);
                let reply_to = self.reply_to(&asked, awaited, bytes);
                continuation::start(&self.context, continuation, now.expiry_of(asked.deadline), reply_to);
            }
            Execution::Fetch(_) if !room.reads => self.defer(Awaited::Storage, asked),
            Execution::Fetch(missing) => {
                let reply_to = self.reply_to(&asked, Awaited::Storage, MAX_RECORD_REPLY_BYTES);
                let expires = now.expiry_of(asked.deadline);
                fetch::start(&self.context, asked.request, expires, missing, reply_to);
            }
        }
    }

    fn defer(&mut self, awaited: Awaited, asked: Asked) {
        self.outstanding += 1;
        self.deferred.push(awaited, asked);
    }

    fn push_ready(&mut self, reply: WireReply) {
        self.ready_bytes += reply.encoded_len();
        self.ready.push(reply);
    }

    /// The destination of a reply that comes later. It counts as outstanding until then, and so do its bytes, or the most
    /// that it can have.
    fn reply_to(&mut self, asked: &Asked, awaited: Awaited, bytes: usize) -> ReplyTo {
        self.outstanding += 1;
        self.waiting[awaited as usize] += bytes;
        ReplyTo { outbox: self.outbox.clone(), id: asked.id, awaited, bytes, since: asked.since }
    }

    /// Runs commands while there are any and there is room for their replies.
    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while !self.is_full() {
            if self.has_work() {
                self.run();
                self.collect(context);
                continue;
            }
            if self.closing || self.greeting.is_some() || self.deferred.is_full() {
                return Ok(());
            }
            match (Pin::new(&mut self.inbound).poll_next(context), self.opened) {
                (Poll::Ready(Some(batch)), Some(opened)) => self.backlog = self.accept(opened, batch?),
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

    /// Takes the replies that may be sent. The task is woken when there are more.
    fn collect(&mut self, context: &Context<'_>) {
        let before = self.ready.len();
        let taken = self.outbox.drain(&mut self.ready, context);
        for (waiting, counted) in self.waiting.iter_mut().zip(taken.counted) {
            *waiting -= counted;
        }
        self.outstanding -= self.ready.len() - before;
        self.ready_bytes += taken.bytes;
    }

    /// The number of the first ready replies that one message holds, and their bytes.
    fn first_ready(&self) -> (usize, usize) {
        if self.ready.len() <= MAX_BATCH && self.ready_bytes <= MAX_REPLY_BATCH_BYTES {
            return (self.ready.len(), self.ready_bytes);
        }
        let (mut count, mut bytes) = (0, 0);
        for reply in self.ready.iter().take(MAX_BATCH) {
            if bytes >= MAX_REPLY_BATCH_BYTES {
                break;
            }
            bytes += reply.encoded_len();
            count += 1;
        }
        (count, bytes)
    }

    /// Takes as many replies as one message holds.
    fn next_batch(&mut self) -> proto::ReplyBatch {
        let (count, bytes) = self.first_ready();
        self.ready_bytes -= bytes;
        self.leaving_bytes = bytes;
        let rest = self.ready.split_off(count);
        proto::ReplyBatch { replies: std::mem::replace(&mut self.ready, rest), ..proto::ReplyBatch::default() }
    }

    /// Counts the bytes that the client has not taken, for all sessions to see.
    fn count_untaken(&mut self) {
        let untaken = self.waiting[Awaited::Commit as usize] + self.ready_bytes + self.leaving_bytes;
        if untaken != self.untaken_bytes {
            let more = untaken.wrapping_sub(self.untaken_bytes);
            self.context.untaken_bytes.fetch_add(more, Ordering::Relaxed);
            self.untaken_bytes = untaken;
        }
    }

    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Item>> {
        if !self.is_draining && self.shutdown.as_mut().poll(context).is_ready() {
            self.is_draining = true;
            // A session that was opened still runs the commands on their way; others have none.
            self.closing |= self.opened.is_none();
            return Poll::Ready(Some(Ok(proto::ReplyBatch { goodbye: true, ..proto::ReplyBatch::default() })));
        }
        self.collect(context);
        if let Err(refusal) = self.read(context) {
            self.closing = true;
            self.backlog.requests = Vec::new().into_iter();
            return Poll::Ready(Some(Err(refusal)));
        }
        if let Some(answer) = self.poll_greeting(context) {
            return Poll::Ready(Some(Ok(answer)));
        }
        if !self.ready.is_empty() {
            return Poll::Ready(Some(Ok(self.next_batch())));
        }
        let is_done = self.closing && self.backlog.requests.as_slice().is_empty() && self.outstanding == 0;
        if is_done { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl Stream for Session {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = self.get_mut();
        // HTTP/2 asks for the next message once the client has made room for the last one.
        this.leaving_bytes = 0;
        let item = this.poll_item(context);
        this.count_untaken();
        item
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.outbox.close();
        self.context.untaken_bytes.fetch_sub(self.untaken_bytes, Ordering::Relaxed);
    }
}
