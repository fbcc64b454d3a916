//! Gives hyper's own error responses a body. hyper answers a request that it cannot parse with a bare status, but every
//! error of the facade is a problem document. So what hyper writes passes through here.
//!
//! A value that a client stored may look like one of hyper's errors. So they are told by their place: the stream follows
//! where each response of the facade begins and ends, and what begins where none is due is hyper's own.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::card_reads::CardReads;
use super::raw_targets::RawTargets;

/// How an interim response begins, such as `100 Continue`. It is hyper's own too, but no error, and has no body.
const INTERIM: &[u8] = b"HTTP/1.1 1";
/// The end of a head without its first byte. Every line of a head ends with that byte, so that a search for the whole end
/// would look closer at each of them.
const END_OF_HEAD: &[u8] = b"\n\r\n";

/// Makes the response that replaces one of hyper's with the same status.
pub type Replacement = Box<dyn Fn(StatusCode) -> Response<Bytes> + Send>;

/// The responses that the facade has made on one connection, and that are not yet written.
#[derive(Debug, Clone, Default)]
pub struct DueResponses(Arc<Mutex<VecDeque<u64>>>);

impl DueResponses {
    /// Notes a response before hyper has it. `length` is the number of bytes that its body has on the wire; `None` when
    /// it is unknown, after which nothing on the connection is taken for hyper's own.
    pub fn add(&self, length: Option<u64>) {
        self.bodies().push_back(length.unwrap_or(u64::MAX));
    }

    fn bodies(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in what is written.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The number of bytes until the next response begins.
    left: u64,
    /// The number of due responses that have begun.
    begun: usize,
    /// The index of a byte with which hyper's own response begins; nothing behind it was looked at.
    own: Option<usize>,
}

/// Follows the responses in `bytes` up to the index `until`, from a place where `left` bytes are left of one. hyper
/// writes heads as a whole into the buffer that it offers, so `bytes` has the whole head of each response in it.
fn follow(mut left: u64, bodies: &VecDeque<u64>, bytes: &[u8], until: usize) -> Place {
    let (mut at, mut begun) = (0, 0);
    loop {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(until - at);
        at += step;
        left -= step as u64;
        if at == until {
            return Place { left, begun, own: None };
        }
        let rest = &bytes[at..];
        let body = match bodies.get(begun) {
            _ if rest.starts_with(INTERIM) => 0,
            Some(body) => {
                begun += 1;
                *body
            }
            None => return Place { left, begun, own: Some(at) },
        };
        // Without an end of the head it is unknown where the next response begins.
        left = head_length(rest).map_or(u64::MAX, |head| body.saturating_add(head as u64));
    }
}

/// The length of the head with which `bytes` begin, with the empty line behind it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(END_OF_HEAD));
    END.find(bytes).map(|at| at + END_OF_HEAD.len())
}

/// A stream that replaces hyper's own error responses with problems, shows what it reads to the finder of `#`, and
/// overwrites what it has read of cards.
pub struct ErrorBodies<S> {
    inner: S,
    due: DueResponses,
    targets: RawTargets,
    cards: CardReads,
    /// The number of bytes until the next response begins.
    left: u64,
    replacement: Replacement,
    /// The part of a replacement that is still to be written.
    rest: Vec<u8>,
}

impl<S> ErrorBodies<S> {
    /// Wraps the stream of one connection.
    pub fn new(inner: S, due: DueResponses, targets: RawTargets, cards: CardReads, replacement: Replacement) -> Self {
        ErrorBodies { inner, due, targets, cards, left: 0, replacement, rest: Vec::new() }
    }

    fn pass(&mut self, place: &Place) {
        self.left = place.left;
        self.due.bodies().drain(..place.begun);
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

    /// Writes a part of hyper's buffer that ends before a response of its own.
    fn write_ours(&mut self, context: &mut Context<'_>, bytes: &[u8], place: Place) -> Poll<io::Result<usize>> {
        let offered = place.own.unwrap_or(bytes.len());
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, &bytes[..offered]))?;
        let reached = match written == bytes.len() {
            true => place,
            false => follow(self.left, &self.due.bodies(), bytes, written),
        };
        self.pass(&reached);
        Poll::Ready(Ok(written))
    }

    /// Replaces hyper's own response, which is the last one on a connection.
    fn write_own(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // The bytes count as written. What does not fit now is written before anything that follows.
        self.rest = explain(bytes, &self.replacement).unwrap_or_else(|| bytes.to_vec());
        match self.write_rest(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ErrorBodies<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cards.before_read(buffer);
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        Poll::Ready(self.targets.note(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ErrorBodies<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.write_rest(context))?;
        let place = follow(self.left, &self.due.bodies(), bytes, bytes.len());
        match place.own {
            Some(0) => self.write_own(context, bytes),
            _ => self.write_ours(context, bytes, place),
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

/// The replacement for a response of hyper's own: a client error without a body. `None` when it is something else.
fn explain(bytes: &[u8], replacement: &Replacement) -> Option<Vec<u8>> {
    let code = bytes.strip_prefix(b"HTTP/1.1 4")?.first_chunk::<2>()?;
    let text = std::str::from_utf8(bytes).ok()?;
    let response = replacement(StatusCode::from_bytes(&[b'4', code[0], code[1]]).ok()?);
    let mut answer = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        answer.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let date = text.lines().filter(|line| line.starts_with("date: "));
    answer.extend(date.flat_map(|line| [line, "\r\n"]).flat_map(str::bytes));
    let end = format!("content-length: {}\r\nconnection: close\r\n\r\n", response.body().len());
    answer.extend_from_slice(end.as_bytes());
    answer.extend_from_slice(response.body());
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A response of hyper's own.
    const OWN: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Fri, 27 Nov 2026 08:49:37 GMT\r\n\r\n";
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    const REPLACED: &str = "HTTP/1.1 400 Bad Request\r\nx-id: 1\r\ndate: Fri, 27 Nov 2026 08:49:37 GMT\r\n\
                            content-length: 3\r\nconnection: close\r\n\r\nwhy";

    fn response(body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    /// What a client reads of these bytes, when the facade has made responses with bodies of these lengths, and the
    /// socket takes at most `room` bytes at a time.
    fn written(bodies: &[usize], bytes: &[u8], room: usize) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let received = runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(room);
            let due = DueResponses::default();
            bodies.iter().for_each(|length| due.add(Some(*length as u64)));
            let replacement =
                |status| Response::builder().status(status).header("x-id", "1").body("why".into()).unwrap();
            let mut stream =
                ErrorBodies::new(near, due, RawTargets::default(), CardReads::default(), Box::new(replacement));
            let send = async move {
                stream.write_all(bytes).await.unwrap();
                stream.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let (_, result) = tokio::join!(send, far.read_to_end(&mut received));
            result.unwrap();
            received
        });
        String::from_utf8(received).unwrap()
    }

    #[test]
    fn only_what_is_not_due_is_replaced_however_little_fits_at_a_time() {
        let hostile = response(OWN);
        let (first, second) = (response(b"first"), response(b""));
        for room in [1, 2, 3, 7, 16, 40, 64, 100, 1_000] {
            assert_eq!(written(&[], OWN, room), REPLACED, "room for {room}");
            assert_eq!(written(&[OWN.len()], &hostile, room).as_bytes(), hostile, "room for {room}");
            let all = [&first[..], &hostile, CONTINUE, &second, OWN].concat();
            let unchanged = String::from_utf8([&first[..], &hostile, CONTINUE, &second].concat()).unwrap();
            assert_eq!(written(&[5, OWN.len(), 0], &all, room), unchanged + REPLACED, "room for {room}");
        }
    }

    #[test]
    fn a_response_of_unknown_length_is_the_last_one_that_is_followed() {
        let bodies = VecDeque::from([u64::MAX]);
        let bytes = [response(b""), OWN.to_vec()].concat();
        assert_eq!(follow(0, &bodies, &bytes, bytes.len()).own, None);
    }

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        for head in ["\r\n\r\n", "a\r\n\r\n", "ab\r\nc\r\n\r\n", "abc\r\n\r\r\n\r\n"] {
            assert_eq!(head_length(head.as_bytes()), Some(head.len()), "{head:?}");
            assert_eq!(head_length(format!("{head}\r\n\r\n").as_bytes()), Some(head.len()), "{head:?}");
            assert_eq!(head_length(&head.as_bytes()[..head.len() - 1]), None, "{head:?}");
        }
    }
}
