//! The session with one shard, which is opened again whenever it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tonic::Streaming;
use tonic::transport::Channel;

use super::connect::connect;
use super::pauses::Pauses;
use super::queue::{CallError, CallResult, EXPIRE_INTERVAL, Queue};
use super::shared::Shared;
use super::status_probe::read_status;
use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::protocol::{CardKey, Hello, KeyOffer, ShardStatus, proto};
use crate::routing::Address;
use proto::shard_client::ShardClient;

/// The time limit of the answer to the Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The shard announced that it is ending.
    Announced,
    /// The connection broke.
    BrokenOff,
}

/// The session with one shard.
pub struct Session {
    shard: u32,
    shards: u32,
    address: Address,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// For calls that are not part of the session.
    client: Mutex<Option<ShardClient<Channel>>>,
}

impl Session {
    /// Makes a session that is down until [`Session::run`] opens it.
    pub fn new(shard: u32, shards: u32, address: Address, shared: Arc<Shared>) -> Self {
        Session { shard, shards, address, shared, queue: Arc::default(), client: Mutex::default() }
    }

    /// The queue, through which tests act as the connection.
    #[cfg(test)]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// The shard's number.
    pub fn shard(&self) -> u32 {
        self.shard
    }

    /// Queues one request that arrived at `started`. The future is its reply, which comes within `timeout` after that.
    ///
    /// # Errors
    /// The error of a request without a reply.
    pub fn send(
        &self,
        request: proto::Request,
        started: Instant,
        timeout: Duration,
    ) -> impl Future<Output = CallResult> + use<> {
        // Queued before the future begins, which would carry the request otherwise.
        let queued = self.queue.push(request, started, timeout);
        async move {
            match queued?.await {
                Ok(result) => result,
                Err(_) => Err(CallError::Sent),
            }
        }
    }

    /// Waits until the session is up; false when it is not up in time.
    pub async fn wait_until_up(&self, timeout: Duration) -> bool {
        self.queue.wait_until_up(timeout).await
    }

    /// The shard's status; `None` when it does not answer.
    pub async fn status(&self) -> Option<ShardStatus> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        read_status(&mut client?, self.shard, false).await
    }

    /// Keeps the session open. After a shutdown is requested, it ends with its connection.
    pub async fn run(self: Arc<Self>, table_version: u64, shutdown: Shutdown) {
        let mut down_since = Instant::now();
        let mut pauses = Pauses::new();
        while !shutdown.is_requested() {
            match self.open(table_version).await {
                Ok((replies, card_key)) => {
                    self.shared.shard_is_up(self.shard);
                    self.queue.up(card_key);
                    let up_since = Instant::now();
                    let end = self.receive(replies).await;
                    self.close();
                    down_since = Instant::now();
                    tokio::time::sleep(pauses.after_session(up_since.elapsed())).await;
                    tracing::debug!(shard = self.shard, address = %self.address, ?end, "the session ended");
                }
                Err(error) => {
                    self.close();
                    if !shutdown.is_requested() {
                        self.shared.shard_is_down(self.shard, down_since, error);
                    }
                    tokio::time::sleep(pauses.after_failure()).await;
                }
            }
        }
    }

    fn close(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.queue.down();
    }

    /// Opens the session. Returns the stream of replies, and the key for the numbers of cards, unless the shard has none.
    async fn open(&self, table_version: u64) -> Result<(Streaming<proto::ReplyBatch>, Option<CardKey>)> {
        let mut client = connect(&self.address).await?;
        let offer = KeyOffer::new()?;
        let hello = Hello { store: self.shared.store(), shard: self.shard, shards: self.shards, table_version };
        let requests =
            self.queue.begin(proto::Hello { card_key: offer.public().to_vec(), ..proto::Hello::from(&hello) });
        let greeted = async {
            let mut replies = client.session(requests).await?.into_inner();
            Ok((replies.message().await?, replies))
        };
        let asked = Instant::now();
        let greeted = tokio::time::timeout(HELLO_TIMEOUT, greeted).await.ok();
        // The timer takes an answer that is there, however late this process looks, as after it was stopped.
        let greeted = greeted.filter(|_| asked.elapsed() < HELLO_TIMEOUT);
        let greeted = greeted.ok_or_else(|| Error::Unavailable("it did not answer the Hello in time".into()))?;
        let (first, replies) =
            greeted.map_err(|status: tonic::Status| Error::Unavailable(status.message().to_owned()))?;
        let theirs = first.and_then(|batch| batch.hello);
        let theirs = theirs.ok_or_else(|| Error::Unavailable("it did not answer the Hello".into()))?;
        let card_key = offer.agree_with_shard(&theirs.card_key);
        let theirs = Hello::try_from(theirs).map_err(|error| Error::Unavailable(format!("its Hello: {error}")))?;
        self.check(&theirs)?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok((replies, card_key))
    }

    /// Checks that the shard belongs to the known store and has the expected number.
    fn check(&self, theirs: &Hello) -> Result<()> {
        let id = theirs.store.ok_or_else(|| Error::Unavailable("it does not know its store".into()))?;
        let known = self.shared.learn_store(id);
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
                            self.queue.finish();
                        }
                        self.queue.complete(batch.replies);
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
