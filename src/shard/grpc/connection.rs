//! Connections that have to say what they want: one that opens no session and asks for nothing within a time limit is
//! closed, and there are only so many. Neither asks for credentials: the store's id is no secret.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// The time from the accept within which a connection has to open a session or ask for something else.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections of a shard: a session of each facade's worker and of each shard, and some tools. Others wait.
pub const MAX_CONNECTIONS: usize = 4_096;

/// Whether a connection has opened a session or asked for something else.
#[derive(Debug, Clone, Default)]
pub struct Greeted(Arc<AtomicBool>);

impl Greeted {
    /// Notes that it has.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection that ends with an error when nothing has been asked of it in time.
pub struct Connection<S> {
    stream: S,
    greeted: Greeted,
    /// The end of the time; `None` once it has been greeted.
    timeout: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// Limits accepted connections to so many at a time, and in the time until they are used.
pub fn limited<S>(
    accepted: impl Stream<Item = io::Result<S>>,
    connections: usize,
) -> impl Stream<Item = io::Result<Connection<S>>> {
    let places = Arc::new(Semaphore::new(connections));
    accepted.then(move |stream| {
        let places = places.clone();
        async move {
            let place = places.acquire_owned().await.expect("the semaphore is never closed");
            stream.map(|stream| Connection::new(stream, place, HANDSHAKE_TIMEOUT))
        }
    })
}

impl<S> Connection<S> {
    fn new(stream: S, place: OwnedSemaphorePermit, timeout: Duration) -> Self {
        let timeout = Some(Box::pin(tokio::time::sleep(timeout)));
        Connection { stream, greeted: Greeted::default(), timeout, _place: place }
    }

    /// True when the time is over and nothing was asked.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        let Some(timeout) = &mut self.timeout else { return false };
        if self.greeted.0.load(Ordering::Relaxed) {
            self.timeout = None;
            return false;
        }
        timeout.as_mut().poll(context).is_ready()
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = Greeted;

    fn connect_info(&self) -> Greeted {
        self.greeted.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_overdue(context) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no session was opened in time")));
        }
        Pin::new(&mut this.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn only_a_connection_that_was_greeted_outlives_its_time() {
        let places = Arc::new(Semaphore::new(2));
        let connect = || {
            let (client, server) = duplex(64);
            (client, Connection::new(server, places.clone().try_acquire_owned().unwrap(), SHORT))
        };
        let (_silent, mut unused) = connect();
        let (mut client, mut used) = connect();
        used.connect_info().set();
        let mut byte = [0];
        let error = unused.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        client.write_all(b"x").await.unwrap();
        used.read_exact(&mut byte).await.unwrap();
        assert_eq!(places.available_permits(), 0);
        drop((unused, used));
        assert_eq!(places.available_permits(), 2, "a connection's place is free when it ends");
    }

    #[tokio::test]
    async fn a_connection_past_the_limit_waits_until_another_ends() {
        const PLACES: usize = 4;
        let connections = stream::repeat_with(|| Ok(duplex(1).1));
        let failures = stream::repeat_with(|| Err(io::Error::other("no descriptor"))).take(2 * PLACES);
        let mut accepted = Box::pin(limited(failures.chain(connections), PLACES));
        assert_eq!(accepted.by_ref().take(2 * PLACES).filter(|one| std::future::ready(one.is_ok())).count().await, 0);
        let mut open: Vec<_> = accepted.by_ref().take(PLACES).collect().await;
        assert!(accepted.next().now_or_never().is_none());
        open.pop();
        assert!(accepted.next().await.is_some_and(|next| next.is_ok()));
    }
}
