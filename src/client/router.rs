//! Routes each request to the shard that owns its key, and sends it again where that is safe.
//!
//! The rule for resending: a request that never reached a stream, a read, an idempotent command and a command with
//! an idempotency key are sent again. For any other, a lost reply is [`Error::Indeterminate`].

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::pauses::LONGEST_PAUSE;
use super::queue::CallError;
use super::session::Session;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::protocol::{
    Command, FromReply, OrderCommand, Reply, ReplyBody, Request, ShardStatus, decode_reply, encode_request,
};
use crate::routing::{Address, KeyHash, SlotTable};

/// The time limit of a reply, from the arrival of the request.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of a reply to an order, which holds stock on other shards and waits for a payment gateway.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a request to be sent again waits for its shard to come back: longer than a session may pause.
const RESEND_TIMEOUT: Duration = LONGEST_PAUSE.saturating_mul(2);
/// The time limit of a ping or a status report.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The sessions with all shards, for one single-threaded runtime.
pub struct Client {
    table: RwLock<Arc<SlotTable>>,
    sessions: Vec<Arc<Session>>,
    /// Ends the sessions when the client is dropped.
    _tasks: Mutex<JoinSet<()>>,
}

impl Client {
    /// Starts a session with every shard, in the order of their numbers. Must be called on the runtime that the
    /// sessions are to run on. After a shutdown is requested, no session is opened again.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unusable number of shards.
    pub fn start(shards: &[Address], shared: &Arc<Shared>, shutdown: &Shutdown) -> Result<Self> {
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        let table = SlotTable::initial(count)?;
        let mut tasks = JoinSet::new();
        let sessions = shards.iter().zip(0..).map(|(address, index)| {
            let session = Arc::new(Session::new(index, count, address.clone(), shared.clone()));
            tasks.spawn(session.clone().run(table.version(), shutdown.clone()));
            session
        });
        let sessions = sessions.collect();
        Ok(Client { table: RwLock::new(Arc::new(table)), sessions, _tasks: Mutex::new(tasks) })
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.sessions.len()
    }

    /// Runs a request on the shard that owns its key. `T` is the type of the answer's body.
    ///
    /// If the shard does not own the slot even after the table was refreshed, that is an [`Error::Unavailable`].
    pub async fn call<T: FromReply>(&self, request: &Request) -> Reply<T> {
        let started = Instant::now();
        let detail = match self.call_owner(request, started).await {
            Reply { result: Err(Error::WrongSlot(detail)), .. } => detail,
            reply => return reply.typed(),
        };
        // Boxed, because it is rare: every other call's future would have room for it.
        Box::pin(self.call_new_owner(request, started, &detail)).await.typed()
    }

    /// Runs a request again after a shard has refused it, as `detail` says, because it does not own the slot.
    async fn call_new_owner(&self, request: &Request, started: Instant, detail: &str) -> Reply<ReplyBody> {
        tracing::warn!(%detail, "the slot table is out of date: asking the shards");
        if let Err(error) = self.refresh_table().await {
            return Reply::from(unavailable(request, &format!("{detail} ({error})")));
        }
        let reply = self.call_owner(request, started).await;
        match &reply.result {
            Err(Error::WrongSlot(detail)) => Reply::from(unavailable(request, detail)),
            Err(_) | Ok(_) => reply,
        }
    }

    async fn call_owner(&self, request: &Request, started: Instant) -> Reply<ReplyBody> {
        let owner = self.owner(request.hash);
        match self.sessions.get(owner) {
            Some(session) => call_session(session, request, started).await,
            None => Reply::from(Error::Unavailable(format!("shard {owner} is not known here"))),
        }
    }

    /// The number of the shard that owns a hash.
    pub fn owner(&self, hash: KeyHash) -> usize {
        self.table.read().unwrap_or_else(PoisonError::into_inner).owner(hash) as usize
    }

    /// Waits until every session is up, or the time is over. Returns the shards whose sessions are down.
    pub async fn wait_until_up(&self, timeout: Duration) -> Vec<usize> {
        let deadline = Instant::now() + timeout;
        let mut down = Vec::new();
        for (shard, session) in self.sessions.iter().enumerate() {
            if !session.wait_until_up(deadline.saturating_duration_since(Instant::now())).await {
                down.push(shard);
            }
        }
        down
    }

    /// Pings every shard; true for each that answers, in the shards' order.
    pub async fn ping(&self) -> Vec<bool> {
        let mut pings = JoinSet::new();
        for (index, session) in self.sessions.iter().cloned().enumerate() {
            pings.spawn(async move {
                let request = Request::new(Command::Ping);
                let reply = call_session(&session, &request, Instant::now());
                let answered = tokio::time::timeout(PING_TIMEOUT, reply).await.is_ok_and(|reply| reply.result.is_ok());
                (index, answered)
            });
        }
        let mut answers = vec![false; self.sessions.len()];
        while let Some(Ok((index, answered))) = pings.join_next().await {
            answers[index] = answered;
        }
        answers
    }

    /// Runs a request on every shard. Returns the replies in the shards' order.
    pub async fn call_each<T: FromReply>(&self, request: &Request) -> Vec<Reply<T>> {
        let started = Instant::now();
        let calls = self.sessions.iter().map(|session| call_session(session, request, started));
        join_all(calls).await.into_iter().map(Reply::typed).collect()
    }

    /// The status of each shard, in the shards' order; `None` for one that does not answer.
    pub async fn status(&self) -> Vec<Option<ShardStatus>> {
        let mut calls = JoinSet::new();
        for (index, session) in self.sessions.iter().cloned().enumerate() {
            calls.spawn(async move { (index, tokio::time::timeout(PING_TIMEOUT, session.status()).await) });
        }
        let mut replies = vec![None; self.sessions.len()];
        while let Some(Ok((index, reply))) = calls.join_next().await {
            replies[index] = reply.ok().flatten();
        }
        replies
    }

    async fn refresh_table(&self) -> Result<()> {
        let mut ranges = Vec::new();
        let mut version = 0;
        for (shard, status) in (0..).zip(self.status().await) {
            let status = status.ok_or_else(|| Error::Unavailable(format!("shard {shard} does not answer")))?;
            version = version.max(status.identity.table_version);
            ranges.extend(status.slots.into_iter().map(|range| (shard, range)));
        }
        let table = SlotTable::from_ranges(version, self.sessions.len() as u32, &ranges)?;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }
}

/// The time limit of a reply, from the arrival of the request.
fn reply_timeout(command: &Command) -> Duration {
    match command {
        Command::Order(OrderCommand::Place(_) | OrderCommand::Cancel(_)) => ORDER_TIMEOUT,
        Command::Ping
        | Command::Cart { .. }
        | Command::Value { .. }
        | Command::Product { .. }
        | Command::ListProducts(_)
        | Command::ListOrders(_)
        | Command::Order(OrderCommand::Get(_))
        | Command::Delivery(_)
        | Command::Peer(_) => REPLY_TIMEOUT,
    }
}

/// Sends a request, and sends it again as far as the rule for resending allows.
async fn call_session(session: &Session, request: &Request, started: Instant) -> Reply<ReplyBody> {
    let timeout = reply_timeout(&request.command);
    let lost_reply = || Reply::from(indeterminate(session, request, "broke off before it answered"));
    let mut was_sent = false;
    loop {
        let error = match session.send(encode_request(request), started, timeout).await {
            Ok(reply) => return decode_reply(reply),
            Err(error) => error,
        };
        match error {
            CallError::Down if !was_sent => return Reply::from(unreachable(session, request)),
            CallError::QueueFull if !was_sent => return Reply::from(unavailable(request, "the shard's queue is full")),
            CallError::QueueFull => return lost_reply(),
            CallError::TimedOut => return Reply::from(indeterminate(session, request, "did not answer in time")),
            CallError::Sent if !request.is_resendable() => return lost_reply(),
            CallError::Sent => was_sent = true,
            CallError::NotSent | CallError::Down => {}
        }
        tracing::debug!(shard = session.shard(), command = request.command.name(), was_sent, "sending a command again");
        let left = timeout.saturating_sub(started.elapsed());
        // Boxed, because it is rare: every other call's future would have room for it.
        if left.is_zero() || !Box::pin(session.wait_until_up(left.min(RESEND_TIMEOUT))).await {
            return match was_sent && !request.is_read() {
                true => lost_reply(),
                false => Reply::from(unreachable(session, request)),
            };
        }
    }
}

/// The error of a request that was not applied. For a read, which applies nothing anyway, it does not say so.
fn unavailable(request: &Request, detail: &str) -> Error {
    Error::Unavailable(match request.is_read() {
        true => detail.to_owned(),
        false => format!("{detail}; nothing was applied"),
    })
}

fn unreachable(session: &Session, request: &Request) -> Error {
    unavailable(request, &format!("shard {} is not reachable", session.shard()))
}

/// The error of a request whose reply is lost.
fn indeterminate(session: &Session, request: &Request, event: &str) -> Error {
    let shard = session.shard();
    Error::Indeterminate(match request.is_read() {
        true => format!("shard {shard} {event}"),
        false => format!(
            "shard {shard} {event}; whether the change was applied is unknown, retry only with the same Idempotency-Key"
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::pin::pin;

    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::client::queue::{Queue, RequestStream};
    use crate::protocol::proto;

    fn session() -> Session {
        Session::new(0, 1, "127.0.0.1:1".parse().unwrap(), Arc::default())
    }

    fn open(queue: &Arc<Queue>) -> RequestStream {
        let mut stream = queue.begin(proto::Hello::default());
        assert!(next(&mut stream).hello.is_some());
        queue.up(None);
        stream
    }

    fn next(stream: &mut RequestStream) -> proto::RequestBatch {
        stream.next().now_or_never().flatten().expect("a message is sent")
    }

    /// Fills the queue between the end of a session and the resend of a request.
    #[tokio::test]
    async fn a_full_queue_after_a_send_leaves_the_outcome_unknown() {
        let session = session();
        let request = Request::new(Command::Ping);
        let mut call = pin!(call_session(&session, &request, Instant::now()));
        let mut stream = open(session.queue());
        assert!(call.as_mut().now_or_never().is_none());
        assert_eq!(next(&mut stream).requests.len(), 1);
        session.queue().down();
        assert!(call.as_mut().now_or_never().is_none(), "it waits until the session is up");
        let _stream = open(session.queue());
        let push = || session.queue().push(proto::Request::default(), Instant::now(), REPLY_TIMEOUT).ok();
        let _others: Vec<_> = iter::from_fn(push).collect();
        assert!(matches!(call.await.result, Err(Error::Indeterminate(_))));
    }

    #[tokio::test]
    async fn a_request_is_not_sent_again_once_its_time_is_over() {
        let session = session();
        let request = Request::new(Command::Ping);
        let Some(long_ago) = Instant::now().checked_sub(REPLY_TIMEOUT) else { return };
        let mut call = pin!(call_session(&session, &request, long_ago));
        let mut stream = open(session.queue());
        assert!(call.as_mut().now_or_never().is_none());
        assert_eq!(next(&mut stream).requests.len(), 1);
        session.queue().down();
        let _stream = open(session.queue());
        assert!(call.now_or_never().is_some_and(|reply| reply.result.is_err()));
    }
}
