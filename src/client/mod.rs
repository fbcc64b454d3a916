//! Finds the shard of a key and carries commands there: locate, batch, deadline, resend.
//!
//! The rule for resending: what never reached a stream, reads, and commands with an idempotency
//! key are sent again; any other lost reply is [`Error::Indeterminate`].

mod connect;
mod queue;
mod session;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::protocol::{self, proto};
use crate::protocol::{Command, Reply, Request};
use crate::routing::Address;
use crate::routing::KeyHash;
use crate::routing::SlotTable;
use queue::Lost;
use session::Session;

/// How long after a request's arrival its command may still be started by the shard.
pub const COMMAND_TIMEOUT: Duration = Duration::from_millis(4_500);
/// How long after a request's arrival its reply is waited for.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for an order, which holds stock on other shards and waits for a payment gateway.
pub const ORDER_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a shard that broke off is waited for, to resend what may be resent.
const RESEND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a shard has to answer whether it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The store's id as all sessions of a process know it: given, or learned from the first shard.
pub type KnownStore = Arc<OnceLock<Uuid>>;

/// A connection to every shard, for one single-threaded runtime.
pub struct Client {
    table: RwLock<Arc<SlotTable>>,
    sessions: Vec<Arc<Session>>,
    /// Ends the sessions when the client is dropped.
    _tasks: Mutex<JoinSet<()>>,
}

impl Client {
    /// Starts a session with every shard, in the order of the table. Must be called on the runtime
    /// that the sessions are to run on. After a shutdown was asked for none is opened again.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unusable number of shards.
    pub fn start(shards: &[Address], store: &KnownStore, shutdown: &Shutdown) -> Result<Self> {
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        let table = SlotTable::initial(count)?;
        let mut tasks = JoinSet::new();
        let sessions = shards.iter().zip(0..).map(|(address, index)| {
            let session = Arc::new(Session::new(index, count, address.clone(), store.clone()));
            tasks.spawn(session.clone().run(table.version(), shutdown.clone()));
            session
        });
        let sessions = sessions.collect();
        Ok(Client { table: RwLock::new(Arc::new(table)), sessions, _tasks: Mutex::new(tasks) })
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.sessions.len()
    }

    /// Runs a request on the shard that it belongs to. After a refreshed table still sent it to a
    /// shard that does not own the slot, it is [`Error::Unavailable`].
    pub async fn call(&self, request: &Request) -> Reply {
        let started = Instant::now();
        let reply = self.call_owner(request, started).await;
        let Err(Error::WrongSlot(detail)) = &reply.result else {
            return reply;
        };
        tracing::warn!(%detail, "the slot table is out of date: asking the shards");
        if let Err(error) = self.refresh_table().await {
            return Reply::from(Error::Unavailable(format!("{detail}; nothing was applied ({error})")));
        }
        let reply = self.call_owner(request, started).await;
        match reply.result {
            Err(Error::WrongSlot(detail)) => Reply::from(Error::Unavailable(format!("{detail}; nothing was applied"))),
            _ => reply,
        }
    }

    async fn call_owner(&self, request: &Request, started: Instant) -> Reply {
        let owner = self.owner(request.hash);
        match self.sessions.get(owner) {
            Some(session) => call_session(session, request, started).await,
            None => Reply::from(Error::Unavailable(format!("shard {owner} is not known here"))),
        }
    }

    /// Which shard owns a hash.
    pub fn owner(&self, hash: KeyHash) -> usize {
        self.table.read().unwrap_or_else(PoisonError::into_inner).owner(hash) as usize
    }

    /// Waits until every session is up, or the time is over.
    pub async fn wait_until_up(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        for session in &self.sessions {
            session.wait_until_up(deadline.saturating_duration_since(Instant::now())).await;
        }
    }

    /// Which shards answer, in order.
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

    /// Runs a request that any shard can answer on every one of them; the replies in the shards' order.
    pub async fn call_each(&self, request: &Request) -> Vec<Reply> {
        let started = Instant::now();
        join_all(self.sessions.iter().map(|session| call_session(session, request, started))).await
    }

    /// What each shard says of itself; `None` for one that does not answer.
    pub async fn status(&self) -> Vec<Option<proto::StatusReply>> {
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
            version = version.max(status.identity.map_or(0, |identity| identity.table_version));
            for range in status.slots {
                let bound =
                    |slot| u16::try_from(slot).map_err(|_| Error::Invalid(format!("slot {slot} does not exist")));
                ranges.push((shard, bound(range.first)?..=bound(range.last)?));
            }
        }
        let table = SlotTable::from_ranges(version, self.sessions.len() as u32, &ranges)?;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }
}

/// Sends a request, and again as far as the rule for resending allows.
async fn call_session(session: &Session, request: &Request, started: Instant) -> Reply {
    let patience = match request.command {
        Command::PlaceOrder(_) => ORDER_TIMEOUT,
        _ => REPLY_TIMEOUT,
    };
    let mut was_sent = false;
    loop {
        let lost = match session.send(protocol::encode_request(request), started, patience).await {
            Ok(reply) => return protocol::decode_reply(reply),
            Err(lost) => lost,
        };
        match lost {
            Lost::Refused(error) if !was_sent => return Reply::from(error),
            Lost::TimedOut => return Reply::from(session.indeterminate("did not answer in time")),
            Lost::Sent if !request.is_resendable() => {
                return Reply::from(session.indeterminate("broke off before it answered"));
            }
            Lost::Sent => was_sent = true,
            Lost::NotSent | Lost::Refused(_) => {}
        }
        if !session.wait_until_up(RESEND_TIMEOUT).await {
            let unknown = was_sent && !request.command.is_read();
            return Reply::from(if unknown {
                session.indeterminate("broke off before it answered")
            } else {
                session.unavailable()
            });
        }
    }
}
