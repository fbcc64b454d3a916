//! Gives hyper's own error responses a body. hyper answers a request that it cannot parse with a bare status, but every
//! error of the facade is a problem document. So the bytes that hyper writes are inspected here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::problem::Problem;

/// A stream that replaces empty error responses with problems.
pub struct ErrorBodies<S> {
    inner: S,
    /// The part of a replacement that is still to be written.
    rest: Vec<u8>,
}

impl<S> ErrorBodies<S> {
    /// Wraps a stream.
    pub fn new(inner: S) -> Self {
        ErrorBodies { inner, rest: Vec::new() }
    }
}

impl<S: AsyncWrite + Unpin> ErrorBodies<S> {
    fn write_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ErrorBodies<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ErrorBodies<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.write_rest(context))?;
        match explain(bytes) {
            None => Pin::new(&mut self.inner).poll_write(context, bytes),
            Some(answer) => {
                // The bytes count as written. What does not fit now is written before anything that follows.
                self.rest = answer;
                match self.write_rest(context) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    _ => Poll::Ready(Ok(bytes.len())),
                }
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_rest(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_rest(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// The replacement for a response of hyper's own, which is a client error without a body; the facade's all have one.
/// `None` for any other bytes.
fn explain(bytes: &[u8]) -> Option<Vec<u8>> {
    let code = bytes.strip_prefix(b"HTTP/1.1 4")?.first_chunk::<2>()?;
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.ends_with("\r\n\r\n") || !text.contains("\r\ncontent-length: 0\r\n") {
        return None;
    }
    let status = StatusCode::from_bytes(&[b'4', code[0], code[1]]).ok()?;
    let detail = match status {
        StatusCode::URI_TOO_LONG => "the request's target is too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the request's head is too long",
        _ => "the request is no valid HTTP/1.1",
    };
    let body = Problem::unreadable(status, detail).into_response(None).into_body();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Some([head.as_bytes(), &body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    const EMPTY: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn only_empty_client_errors_are_explained() {
        let answer = String::from_utf8(explain(EMPTY).unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("\"status\":400"), "{answer}");
        for bytes in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 4",
            b"",
        ] {
            assert_eq!(explain(bytes), None);
        }
    }

    #[test]
    fn an_answer_that_does_not_fit_is_written_in_parts() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let received = runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(16);
            let mut stream = ErrorBodies::new(near);
            let send = async move {
                stream.write_all(EMPTY).await.unwrap();
                stream.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let (_, result) = tokio::join!(send, tokio::io::AsyncReadExt::read_to_end(&mut far, &mut received));
            result.unwrap();
            received
        });
        assert_eq!(Some(received), explain(EMPTY));
    }
}
