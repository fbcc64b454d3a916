//! The gRPC server of a shard: sessions, status, health and reflection.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::interceptor::{InterceptedService, Interceptor};
use tonic::transport::server::Router;
use tonic::{Request, Response, Status, Streaming};

use super::connection::{Greeted, limited};
use super::session::Session;
use super::status::status;
use crate::error::{Error, Result};
use crate::process::unix_socket::UnixSocket;
use crate::protocol::{MAX_REQUEST_MESSAGE_BYTES, proto};
use crate::routing::Address;
use crate::shard::context::ShardContext;
use proto::shard_server::{Shard, ShardServer};

/// The silence after which a connection is pinged.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The time limit of the answer to a ping, after which the connection is closed.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most open streams of one connection: its session, and questions about the shard.
const MAX_STREAMS: u32 = 16;
/// The HTTP/2 flow-control window of a connection, in bytes.
const WINDOW_BYTES: u32 = 1 << 20;

struct Service(Arc<ShardContext>);

#[tonic::async_trait]
impl Shard for Service {
    type SessionStream = Session;

    async fn session(
        &self,
        request: Request<Streaming<proto::RequestBatch>>,
    ) -> std::result::Result<Response<Session>, Status> {
        let greeted = greeted(&request);
        Ok(Response::new(Session::new(self.0.clone(), request.into_inner(), greeted)))
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> std::result::Result<Response<proto::StatusReply>, Status> {
        greeted(&request).set();
        let status = status(&self.0, request.get_ref().slots);
        Ok(Response::new(proto::StatusReply::from(status)))
    }
}

/// The note on the connection of a request whether anything was asked of it.
fn greeted<T>(request: &Request<T>) -> Greeted {
    request.extensions().get::<Greeted>().cloned().unwrap_or_default()
}

/// Notes for a service that knows nothing of it that something was asked.
#[derive(Clone)]
struct NoteGreeting;

impl Interceptor for NoteGreeting {
    fn call(&mut self, request: Request<()>) -> std::result::Result<Request<()>, Status> {
        greeted(&request).set();
        Ok(request)
    }
}

/// A bound listener.
pub enum Listener {
    /// A TCP listener.
    Tcp(TcpListener),
    /// A listener on a Unix socket.
    Unix(UnixSocket),
}

impl Listener {
    /// Binds an address. A Unix socket that a dead process left behind is replaced. That is safe: the caller holds the
    /// lock of the data directory, so nothing else listens there.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be bound.
    pub async fn bind(address: &Address) -> Result<Self> {
        let fault = |error: std::io::Error| Error::Internal(format!("cannot listen on {address}: {error}"));
        match address {
            Address::Tcp(address) => Ok(Listener::Tcp(TcpListener::bind(address).await.map_err(fault)?)),
            Address::Unix(path) => Ok(Listener::Unix(UnixSocket::bind(path).map_err(fault)?)),
        }
    }

    /// The bound address, with the port that the operating system chose for port 0.
    pub fn address(&self, asked: &Address) -> Address {
        match self {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => Address::Tcp(address.to_string()),
                Err(_) => asked.clone(),
            },
            Listener::Unix(_) => asked.clone(),
        }
    }
}

/// Serves so many connections at a time until a shutdown is requested and every accepted command is answered.
///
/// # Errors
/// [`Error::Internal`] when the server fails.
pub async fn serve(context: Arc<ShardContext>, listener: Listener, connections: usize) -> Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ShardServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| Error::Internal(format!("gRPC reflection: {error}")))?;
    let mut shutdown = context.shutdown.clone();
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(MAX_STREAMS))
        .initial_connection_window_size(Some(WINDOW_BYTES))
        .initial_stream_window_size(Some(WINDOW_BYTES))
        .add_service(InterceptedService::new(health_service, NoteGreeting))
        .add_service(InterceptedService::new(reflection, NoteGreeting))
        .add_service(ShardServer::new(Service(context)).max_decoding_message_size(MAX_REQUEST_MESSAGE_BYTES));
    serve_on(router, listener, connections, Box::pin(async move { shutdown.wait().await }))
        .await
        .map_err(|error| Error::Internal(format!("the server failed: {error}")))
}

/// The connections of a listener. tonic's own option applies to its own listeners only.
fn without_delay(listener: TcpListener) -> impl Stream<Item = std::io::Result<TcpStream>> {
    TcpListenerStream::new(listener).inspect(|accepted| {
        if let Ok(stream) = accepted {
            // An error means that the connection is gone.
            let _ = stream.set_nodelay(true);
        }
    })
}

/// The connections of a socket.
fn accepted(socket: UnixSocket) -> impl Stream<Item = std::io::Result<UnixStream>> {
    stream::unfold(socket, |mut socket| async move { Some((socket.accept().await, socket)) })
}

async fn serve_on(
    router: Router,
    listener: Listener,
    connections: usize,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> std::result::Result<(), tonic::transport::Error> {
    match listener {
        Listener::Tcp(listener) => {
            router.serve_with_incoming_shutdown(limited(without_delay(listener), connections), shutdown).await
        }
        Listener::Unix(listener) => {
            router.serve_with_incoming_shutdown(limited(accepted(listener), connections), shutdown).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_connections_send_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = std::pin::pin!(without_delay(listener)).next().await.unwrap().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
