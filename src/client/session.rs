//! The session with one shard: opened, kept, and opened again when it breaks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tonic::Streaming;
use tonic::transport::Channel;
use uuid::Uuid;

use super::KnownStore;
use super::connect::connect;
use super::queue::{EXPIRE_INTERVAL, Lost, Queue};
use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::protocol::proto;
use crate::routing::Address;
use proto::shard_client::ShardClient;

/// How long after a failed attempt the next one is made. A shard that comes back is found within a
/// second, and one that is down costs a few system calls a second.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);
/// How long the shard may take to answer the Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a shard may be down before it is told of: at a start they come up one after the other.
const OUTAGE_TOLD_AFTER: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The shard said before that it would end.
    Announced,
    /// It did not.
    BrokenOff,
}

/// A time without a session, and what was said of it.
struct Outage {
    since: Instant,
    is_told: bool,
    last: Option<Error>,
}

impl Default for Outage {
    fn default() -> Self {
        Outage { since: Instant::now(), is_told: false, last: None }
    }
}

impl Outage {
    /// Tells why the shard is down, once for each reason.
    fn tell(&mut self, shard: u32, error: Error) {
        if self.since.elapsed() >= OUTAGE_TOLD_AFTER && self.last.as_ref() != Some(&error) {
            tracing::warn!(shard, %error, "the shard is down");
            self.is_told = true;
            self.last = Some(error);
        }
    }
}

/// The session with one shard.
pub struct Session {
    shard: u32,
    shards: u32,
    address: Address,
    store: KnownStore,
    queue: Arc<Queue>,
    up: watch::Sender<bool>,
    /// For calls that are not part of the session.
    client: Mutex<Option<ShardClient<Channel>>>,
}

impl Session {
    /// A session that is down until [`Session::run`] has opened it.
    pub fn new(shard: u32, shards: u32, address: Address, store: KnownStore) -> Self {
        Session {
            shard,
            shards,
            address,
            store,
            queue: Arc::default(),
            up: watch::Sender::new(false),
            client: Mutex::default(),
        }
    }

    /// Sends one request that arrived at `started`, and waits for its reply for so long after that.
    ///
    /// # Errors
    /// What is known of a request without a reply.
    pub async fn send(
        &self,
        request: proto::Request,
        started: Instant,
        patience: Duration,
    ) -> std::result::Result<proto::Reply, Lost> {
        if !*self.up.borrow() {
            return Err(Lost::Refused(self.unavailable()));
        }
        match self.queue.push(request, started, patience)?.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Lost::Sent),
        }
    }

    /// Waits until the session is up; false when it is not in time.
    pub async fn wait_until_up(&self, timeout: Duration) -> bool {
        let mut up = self.up.subscribe();
        matches!(tokio::time::timeout(timeout, up.wait_for(|up| *up)).await, Ok(Ok(_)))
    }

    /// The error of a shard that is down.
    pub fn unavailable(&self) -> Error {
        Error::Unavailable(format!("shard {} is not reachable; nothing was applied", self.shard))
    }

    /// The error of a lost reply.
    pub fn indeterminate(&self, what: &str) -> Error {
        Error::Indeterminate(format!(
            "shard {} {what}; whether the change was applied is unknown, retry only with the same Idempotency-Key",
            self.shard
        ))
    }

    /// The shard's status; `None` when it does not answer.
    pub async fn status(&self) -> Option<proto::StatusReply> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reply = client?.status(proto::StatusRequest {}).await.ok()?;
        Some(reply.into_inner())
    }

    /// Keeps the session open until a shutdown is asked for; then it ends with its connection.
    pub async fn run(self: Arc<Self>, table_version: u64, shutdown: Shutdown) {
        let mut outage = Outage::default();
        while !shutdown.is_requested() {
            match self.open(table_version).await {
                Ok(replies) => {
                    if outage.is_told {
                        tracing::info!(shard = self.shard, "the shard is up again");
                    }
                    self.queue.up();
                    self.up.send_replace(true);
                    let end = self.receive(replies).await;
                    self.close();
                    outage = Outage::default();
                    if end == End::BrokenOff && !shutdown.is_requested() {
                        tracing::error!(shard = self.shard, address = %self.address, "the shard broke off");
                        outage.is_told = true;
                    }
                }
                Err(error) => {
                    self.close();
                    if !shutdown.is_requested() {
                        outage.tell(self.shard, error);
                    }
                    tokio::time::sleep(RECONNECT_INTERVAL).await;
                }
            }
        }
    }

    fn close(&self) {
        self.up.send_replace(false);
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.queue.down();
    }

    async fn open(&self, table_version: u64) -> Result<Streaming<proto::ReplyBatch>> {
        let mut client = connect(&self.address).await?;
        let hello = proto::Hello {
            store_id: self.store.get().map(Uuid::to_string).unwrap_or_default(),
            shard: self.shard,
            shards: self.shards,
            table_version,
        };
        let outgoing = self.queue.begin(hello);
        let greeted = async {
            let mut replies = client.session(outgoing).await?.into_inner();
            Ok((replies.message().await?, replies))
        };
        let greeted = tokio::time::timeout(HELLO_TIMEOUT, greeted).await;
        let greeted = greeted.map_err(|_| Error::Unavailable("it did not answer the Hello in time".into()))?;
        let (first, replies) =
            greeted.map_err(|status: tonic::Status| Error::Unavailable(status.message().to_owned()))?;
        let theirs = first.and_then(|batch| batch.hello);
        self.check(&theirs.ok_or_else(|| Error::Unavailable("it did not answer the Hello".into()))?)?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(replies)
    }

    /// The shard has checked where it is; here remains whether it is of the store that we know.
    fn check(&self, theirs: &proto::Hello) -> Result<()> {
        let id = Uuid::parse_str(&theirs.store_id).map_err(|_| Error::Unavailable("its store id is no UUID".into()))?;
        let known = *self.store.get_or_init(|| id);
        if known != id || (theirs.shard, theirs.shards) != (self.shard, self.shards) {
            return Err(Error::Unavailable(format!(
                "it is shard {} of {} of store {id}, not shard {} of {} of store {known}",
                theirs.shard, theirs.shards, self.shard, self.shards
            )));
        }
        Ok(())
    }

    async fn receive(&self, mut replies: Streaming<proto::ReplyBatch>) -> End {
        let mut end = End::BrokenOff;
        let mut expire = tokio::time::interval(EXPIRE_INTERVAL);
        loop {
            tokio::select! {
                batch = replies.message() => match batch {
                    Ok(Some(batch)) => {
                        if batch.goodbye {
                            end = End::Announced;
                            self.up.send_replace(false);
                            self.queue.finish();
                        }
                        self.queue.settle(batch.replies);
                    }
                    Ok(None) => return end,
                    Err(status) => {
                        tracing::debug!(shard = self.shard, %status, "the session failed");
                        return end;
                    }
                },
                _ = expire.tick() => self.queue.expire(),
            }
        }
    }
}
