//! One session with a facade: a stream that runs the commands that come in and yields the replies,
//! in one task and without a queue in between.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;
use prost::Message;
use tonic::{Status, Streaming};

use super::committer::Core;
use super::orders::Customer;
use super::outbox::{Outbox, Waiting};
use super::server::Shared;
use super::writer::{After, Ran};
use crate::domain::card::Card;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::protocol::{self, MAX_BATCH, MAX_REPLY_BATCH_BYTES, proto};
use crate::protocol::{Command, Request};

/// The most commands of one session that wait for their commit; past that no more are read, and
/// HTTP/2's flow control stops the sender.
const MAX_OUTSTANDING: usize = 8_192;

/// The replies of a session.
pub struct Session {
    shared: Arc<Shared>,
    inbound: Streaming<proto::RequestBatch>,
    outbox: Arc<Outbox>,
    /// Replies that may leave.
    ready: Vec<proto::Reply>,
    /// When the session was opened; deadlines count from there. `None` until the Hello.
    opened: Option<Instant>,
    /// Commands whose replies wait for a commit.
    outstanding: usize,
    /// The facade was told to send no more.
    said_goodbye: bool,
    /// No more commands are read.
    closing: bool,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

type Item = Result<proto::ReplyBatch, Status>;

impl Session {
    /// A session over what a facade sends.
    pub fn new(shared: Arc<Shared>, inbound: Streaming<proto::RequestBatch>) -> Self {
        let mut shutdown = shared.shutdown.clone();
        Session {
            shared,
            inbound,
            outbox: Arc::default(),
            ready: Vec::new(),
            opened: None,
            outstanding: 0,
            said_goodbye: false,
            closing: false,
            shutdown: Box::pin(async move { shutdown.wait().await }),
        }
    }

    fn greet(&mut self, batch: &proto::RequestBatch) -> Item {
        let hello = batch.hello.as_ref();
        let hello = hello.ok_or_else(|| Status::invalid_argument("a session begins with a Hello"))?;
        let ours =
            self.shared.identity.greet(&*self.shared.storage, hello).map_err(|error| protocol::status_of(&error))?;
        self.opened = Some(Instant::now());
        Ok(proto::ReplyBatch { hello: Some(ours), ..proto::ReplyBatch::default() })
    }

    fn run(&mut self, opened: Instant, batch: proto::RequestBatch) {
        let core: Arc<Core> = self.shared.core.clone();
        let now = super::clock::now();
        let elapsed = opened.elapsed();
        let mut writer = core.lock();
        self.shared.operations.fetch_add(batch.requests.len() as u64, std::sync::atomic::Ordering::Relaxed);
        for message in batch.requests {
            let id = message.id;
            let deadline = Duration::from_millis(message.deadline_ms);
            let request = match protocol::decode_request(message) {
                Ok(_) if deadline < elapsed => {
                    Err(Error::Unavailable("the deadline had passed; nothing was applied".into()))
                }
                decoded => decoded,
            };
            let ran = match &request {
                Ok(request) => writer.run(request, now),
                Err(error) => Ran::Replied(failed(error, now), After::Nothing),
            };
            match ran {
                Ran::Replied(reply, After::Nothing) => self.ready.push(proto::Reply { id, ..reply }),
                Ran::Replied(reply, after) => {
                    self.outstanding += 1;
                    let reply = proto::Reply { id, ..reply };
                    writer.wait(after, Waiting::Reply { outbox: self.outbox.clone(), reply });
                }
                Ran::Opened(order) => {
                    self.outstanding += 1;
                    let customer = Customer { outbox: self.outbox.clone(), id };
                    self.shared.orders.drive(order, request.ok().and_then(card_of), customer);
                }
            }
        }
        core.commit(writer);
    }

    /// Takes the replies whose commit is done; the task is woken when there are more.
    fn collect(&mut self, context: &Context<'_>) {
        let before = self.ready.len();
        self.outbox.drain(&mut self.ready, context);
        self.outstanding -= self.ready.len() - before;
    }

    /// As many replies as one message holds.
    fn next_batch(&mut self) -> proto::ReplyBatch {
        let mut bytes = 0;
        let fits = self.ready.iter().take(MAX_BATCH).take_while(|reply| {
            let before = bytes;
            bytes += reply.encoded_len();
            before < MAX_REPLY_BATCH_BYTES
        });
        let count = fits.count();
        let rest = self.ready.split_off(count);
        proto::ReplyBatch { replies: std::mem::replace(&mut self.ready, rest), ..proto::ReplyBatch::default() }
    }
}

fn card_of(request: Request) -> Option<Card> {
    match request.command {
        Command::PlaceOrder(place) => place.card,
        _ => None,
    }
}

fn failed(error: &Error, now: Timestamp) -> proto::Reply {
    proto::Reply { at: now.micros(), result: Some(protocol::failure(error)), ..proto::Reply::default() }
}

impl Stream for Session {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = self.get_mut();
        if !this.said_goodbye && this.shutdown.as_mut().poll(context).is_ready() {
            this.said_goodbye = true;
            // What is under way is still run; a session that was never opened has nothing under way.
            this.closing |= this.opened.is_none();
            return Poll::Ready(Some(Ok(proto::ReplyBatch { goodbye: true, ..proto::ReplyBatch::default() })));
        }
        this.collect(context);
        while !this.closing && this.ready.len() < MAX_BATCH && this.outstanding < MAX_OUTSTANDING {
            match Pin::new(&mut this.inbound).poll_next(context) {
                Poll::Ready(Some(Ok(batch))) => match this.opened {
                    Some(opened) => this.run(opened, batch),
                    None => {
                        let answer = this.greet(&batch);
                        this.closing = answer.is_err();
                        return Poll::Ready(Some(answer));
                    }
                },
                Poll::Ready(Some(Err(_)) | None) => this.closing = true,
                Poll::Pending => break,
            }
            this.collect(context);
        }
        if !this.ready.is_empty() {
            return Poll::Ready(Some(Ok(this.next_batch())));
        }
        if this.closing && this.outstanding == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}
