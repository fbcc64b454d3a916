//! A shard that follows a script, so that a test decides when its Hello is answered and when its sessions end, and sees the
//! messages that it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use shardcart::protocol::proto::shard_server::{Shard, ShardServer};
use shardcart::protocol::proto::{self, reply};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

const STORE: &str = "01234567-89ab-4cde-8f01-23456789abcd";
/// The messages of a session that wait to be sent.
const WAITING: usize = 16;

/// A running shard, the only one of its store.
pub struct ScriptedShard {
    address: String,
    sessions: Arc<AtomicUsize>,
    end: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// One session, which ends when this is dropped.
pub struct Session {
    /// The number of sessions before this one.
    pub number: usize,
    requests: Streaming<proto::RequestBatch>,
    replies: mpsc::Sender<Result<proto::ReplyBatch, Status>>,
}

impl ScriptedShard {
    /// Starts one that runs the script for each session.
    pub fn start<F>(script: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address").to_string();
        let sessions = Arc::<AtomicUsize>::default();
        let script: Script = Box::new(move |session| drop(tokio::spawn(script(session))));
        let service = ShardServer::new(Service { script, sessions: sessions.clone() });
        let (end, ended) = oneshot::channel::<()>();
        let serving = thread::spawn(move || {
            let router = tonic::transport::Server::builder().add_service(service);
            let serving = router.serve_with_incoming(TcpListenerStream::new(listener));
            runtime.block_on(async {
                tokio::select! {
                    served = serving => served.expect("the shard can serve"),
                    _ = ended => {}
                }
            });
        });
        ScriptedShard { address, sessions, end: Some(end), serving: Some(serving) }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// The number of sessions so far.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }
}

impl Drop for ScriptedShard {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

impl Session {
    /// The next message; `None` once the client has closed its side.
    pub async fn receive(&mut self) -> Option<proto::RequestBatch> {
        self.requests.message().await.ok().flatten()
    }

    /// Answers the Hello as a shard that expects what the client does.
    pub async fn greet(&mut self, theirs: proto::Hello) {
        let ours = proto::Hello { store_id: STORE.into(), ..theirs };
        self.send(proto::ReplyBatch { hello: Some(ours), ..proto::ReplyBatch::default() }).await;
    }

    /// Receives the Hello and answers it at once.
    pub async fn open(&mut self) {
        if let Some(proto::RequestBatch { hello: Some(hello), .. }) = self.receive().await {
            self.greet(hello).await;
        }
    }

    /// Refuses each request of a message for a reason that no client brings about by itself.
    pub async fn refuse(&mut self, batch: &proto::RequestBatch) {
        let failure =
            proto::Failure { reason: proto::failure::Reason::OutOfMemory.into(), ..proto::Failure::default() };
        let refusal = |request: &proto::Request| proto::Reply {
            id: request.id,
            result: Some(reply::Result::Failure(failure.clone())),
            ..proto::Reply::default()
        };
        let replies = batch.requests.iter().map(refusal).collect();
        self.send(proto::ReplyBatch { replies, ..proto::ReplyBatch::default() }).await;
    }

    async fn send(&self, batch: proto::ReplyBatch) {
        // An error means that the client has ended the session.
        let _ = self.replies.send(Ok(batch)).await;
    }
}

type Script = Box<dyn Fn(Session) + Send + Sync>;

struct Service {
    script: Script,
    sessions: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Shard for Service {
    type SessionStream = ReceiverStream<Result<proto::ReplyBatch, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<proto::RequestBatch>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (replies, stream) = mpsc::channel(WAITING);
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        (self.script)(Session { number, requests: request.into_inner(), replies });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn status(&self, _request: Request<proto::StatusRequest>) -> Result<Response<proto::StatusReply>, Status> {
        Err(Status::unimplemented("the script has no status"))
    }
}
