//! Listening sockets and the accept loop, with a limit on connections and timeouts on silent ones, which warp's own
//! server lacks.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use super::card_reads::CardReads;
use super::error_body::{DueResponses, ErrorBodies};
use super::raw_targets::RawTargets;
use super::service::{FacadeService, ListenerService};
use crate::error::{Error, Result};
use crate::process::overwrite::overwrite;
use crate::process::shutdown::Shutdown;

/// The most connections that the operating system holds before they are accepted.
const BACKLOG: i32 = 1_024;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The pause after a failed accept, for example when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The time limit for requests in progress at a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Binds an address that the process's workers share.
///
/// # Errors
/// [`Error::Internal`] when it cannot be bound.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener> {
    let fault = |error: std::io::Error| Error::Internal(format!("cannot listen on {address}: {error}"));
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(fault)?;
    socket.set_reuse_address(true).map_err(fault)?;
    socket.set_reuse_port(true).map_err(fault)?;
    socket.set_nonblocking(true).map_err(fault)?;
    socket.bind(&address.into()).map_err(fault)?;
    socket.listen(BACKLOG).map_err(fault)?;
    Ok(socket.into())
}

/// Checks that no other process listens on an address, since sharing it would split the requests.
///
/// # Errors
/// [`Error::Internal`] when one does.
pub fn check_exclusive(address: SocketAddr) -> Result<()> {
    std::net::TcpListener::bind(address)
        .map(drop)
        .map_err(|error| Error::Internal(format!("cannot listen on {address}: {error}")))
}

/// The limits of connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The time in which a client has to take some of what is sent to it.
    pub write_timeout: Duration,
    /// The time limit for a request's head, and for an idle connection.
    pub header_timeout: Duration,
    /// The permits for open connections. More wait until one is closed.
    pub connections: Arc<Semaphore>,
}

/// Serves a listener until a shutdown is requested and the requests in progress are answered.
///
/// # Errors
/// [`Error::Internal`] when the listener cannot be used.
pub async fn serve<S>(
    listener: std::net::TcpListener,
    service: ListenerService<S>,
    limits: Limits,
    mut shutdown: Shutdown,
) -> Result<()>
where
    S: Service<Request<Empty<Bytes>>, Response = warp::reply::Response, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let listener =
        TcpListener::from_std(listener).map_err(|error| Error::Internal(format!("cannot use a listener: {error}")))?;
    // Nothing is sent: it closes when the last connection has ended.
    let (open, mut all_ended) = mpsc::channel::<Infallible>(1);
    let mut http = http1::Builder::new();
    // A client may close its sending half once it has sent a request, and is answered all the same.
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(MAX_HEAD_BYTES);
    http.half_close(true).writev(false);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &limits) => accepted,
            () = shutdown.wait() => break,
        };
        let Accepted { stream, peer, permit } = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (due, targets, cards) = (DueResponses::default(), RawTargets::default(), CardReads::default());
        let worker = service.worker().clone();
        let service = service.on_connection(peer, due.clone(), targets.clone(), cards.clone());
        let refuse = move |status| worker.refuse_unreadable(peer, status);
        let stream = ErrorBodies::new(stream, due, targets, cards.clone(), Box::new(refuse));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let (shutdown, open) = (shutdown.clone(), open.clone());
        tokio::spawn(async move {
            drive(connection, &cards, shutdown).await;
            drop((permit, open));
        });
    }
    drop((listener, open));
    if tokio::time::timeout(DRAIN_TIMEOUT, all_ended.recv()).await.is_err() {
        tracing::warn!("requests were cut off: they took too long to finish");
    }
    Ok(())
}

/// Serves a connection to its end. Once a shutdown is requested, it ends with the request under way. Then what is left of
/// cards in its buffer is overwritten.
async fn drive<S>(mut connection: ServedConnection<S>, cards: &CardReads, mut shutdown: Shutdown)
where
    FacadeService<S>: hyper::service::Service<Request<Incoming>, Response = warp::reply::Response, Error = Infallible>,
{
    let signal = shutdown.clone();
    let mut requested = pin!(shutdown.wait());
    let (mut is_watched, mut is_told) = (false, false);
    let end = poll_fn(|context| {
        // The first poll registers this task. From then on a look at the state costs less than another poll.
        if !is_told && (!is_watched || signal.is_requested()) && requested.as_mut().poll(context).is_ready() {
            is_told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        is_watched = true;
        Pin::new(&mut connection).poll(context)
    })
    .await;
    if let Err(error) = end {
        tracing::debug!(%error, "a connection ended early");
    }
    if cards.are_left() {
        overwrite(connection.into_parts().read_buf);
    }
}

/// hyper's side of a connection.
type ServedConnection<S> = http1::Connection<TokioIo<ErrorBodies<ClientStream>>, FacadeService<S>>;

/// A connection that breaks when its client takes nothing for too long.
type ClientStream = Pin<Box<TimeoutStream<TcpStream>>>;

/// A connection that was accepted.
struct Accepted {
    stream: ClientStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

async fn accept(listener: &TcpListener, limits: &Limits) -> std::io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // What is in the operating system's buffer already does not count as progress towards a client that is gone.
    SockRef::from(&stream).set_tcp_user_timeout(Some(limits.write_timeout))?;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    // The permit comes after the accept: a listener without a client must not hold one.
    let permit = limits.connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    Ok(Accepted { stream: Box::pin(stream), peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()), permit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_gone_is_given_up_by_the_operating_system_too() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
            let timeout = Duration::from_millis(1_234);
            let connections = Arc::new(Semaphore::new(1));
            let limits = Limits { write_timeout: timeout, header_timeout: timeout, connections };
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let accepted = accept(&listener, &limits).await.unwrap();
            assert_eq!(accepted.peer, client.local_addr().unwrap());
            let socket = SockRef::from(accepted.stream.get_ref());
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(timeout));
        });
    }
}
