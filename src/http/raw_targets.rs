//! Finds requests whose target has a `#`. The parser of targets drops it with all behind it, so that `/items/a#b` would be
//! answered as `/items/a`. A target cannot have one: `%23` is meant. So the bytes as they came are looked at.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;

use super::framing::{Framing, Requests};

/// The state of a connection whose next byte begins a head.
const AT_HEAD: u64 = u64::MAX;
/// The state of a connection whose bytes are followed.
const FOLLOWED: u64 = u64::MAX - 1;

/// What is known of the targets of a connection's requests.
#[derive(Debug, Clone, Default)]
pub struct RawTargets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// [`AT_HEAD`], [`FOLLOWED`], or how many bytes came behind a head in a plain read. Most reads are plain, and cost no
    /// more than this.
    state: AtomicU64,
    requests: Mutex<Requests>,
}

impl Default for Shared {
    fn default() -> Self {
        Shared { state: AtomicU64::new(AT_HEAD), requests: Mutex::new(Requests::at_head()) }
    }
}

impl RawTargets {
    /// Notes bytes that came, before they are parsed.
    ///
    /// # Errors
    /// When more came behind a head than is kept.
    pub fn note(&self, bytes: &[u8]) -> io::Result<()> {
        let state = self.0.state.load(Ordering::Relaxed);
        if state == AT_HEAD
            && let Some(behind) = plain(bytes)
        {
            self.0.state.store(behind, Ordering::Relaxed);
            return Ok(());
        }
        let start = match state {
            _ if bytes.is_empty() => return Ok(()),
            FOLLOWED => None,
            AT_HEAD => Some(Requests::at_head()),
            0 => Some(Requests::at_head_end()),
            _ => return Err(io::Error::other("more came behind a head, and what came first was not kept")),
        };
        self.follow(start, |requests| requests.take(bytes))
    }

    /// True when the next request, which has this method and such a body, came with a `#` in its target. This is to be
    /// asked once for each request.
    pub fn next_has_hash(&self, method: &Method, framing: Framing) -> bool {
        let start = match (self.0.state.load(Ordering::Relaxed), framing) {
            (FOLLOWED, _) => {
                let hashes = self.follow(None, |requests| requests.pass_head(framing));
                // A method may have one.
                return hashes > method.as_str().matches('#').count();
            }
            (behind, Framing::Length(length)) if behind == length => {
                self.0.state.store(AT_HEAD, Ordering::Relaxed);
                return false;
            }
            (behind, Framing::Length(length)) if behind > length => Requests::in_first_line(),
            (behind, Framing::Length(length)) => Requests::at_body(Framing::Length(length - behind)),
            (_, Framing::Chunks) => Requests::at_body(framing),
        };
        self.follow(Some(start), |_| false)
    }

    /// Follows the requests, from `start` on if they were not followed so far.
    fn follow<T>(&self, start: Option<Requests>, act: impl FnOnce(&mut Requests) -> T) -> T {
        let mut requests = self.0.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = start {
            *requests = start;
        }
        let result = act(&mut requests);
        let state = if requests.is_at_head() { AT_HEAD } else { FOLLOWED };
        self.0.state.store(state, Ordering::Relaxed);
        result
    }
}

/// The number of bytes behind the head, in a plain read: one that begins with a whole head without a `#` in its first line,
/// and has nothing behind it, or what can be no chunk, no line and no part of a target with a `#`.
fn plain(bytes: &[u8]) -> Option<u64> {
    let has_line = !bytes.starts_with(b"\r") && !bytes.starts_with(b"\n");
    let ends_head = |at: &usize| bytes[..*at].ends_with(b"\n\r") || bytes[..*at].ends_with(b"\n");
    let end = memchr::memchr_iter(b'\n', bytes).find(ends_head)?;
    let (head, behind) = bytes.split_at(end + 1);
    let has_hash = || memchr::memchr2(b'#', b'\n', head).is_some_and(|at| head[at] == b'#');
    let is_plain = has_line && !has_hash() && is_plain_behind(behind);
    is_plain.then_some(behind.len() as u64)
}

fn is_plain_behind(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return true };
    !first.is_ascii_hexdigit() && memchr::memchr3(b'#', b'\r', b'\n', bytes).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Empty};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use proptest::prelude::*;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    /// A connection whose bytes come in pieces, one a read.
    struct Pieces<'a> {
        pieces: Vec<&'a [u8]>,
        targets: RawTargets,
    }

    impl AsyncRead for Pieces<'_> {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            while self.pieces.first().is_some_and(|piece| piece.is_empty()) {
                self.pieces.remove(0);
            }
            let Some(piece) = self.pieces.first_mut() else { return Poll::Ready(Ok(())) };
            let (now, later) = piece.split_at(piece.len().min(buffer.remaining()));
            *piece = later;
            buffer.put_slice(now);
            Poll::Ready(self.targets.note(now))
        }
    }

    impl AsyncWrite for Pieces<'_> {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The path of each request that hyper takes from these pieces, and whether its target was found to have a `#`.
    fn found(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let found = RefCell::new(Vec::new());
        let targets = RawTargets::default();
        let stream = Pieces { pieces: pieces.to_vec(), targets: targets.clone() };
        let service = service_fn(|request: Request<Incoming>| {
            let has_hash = targets.next_has_hash(request.method(), Framing::of(request.body()));
            found.borrow_mut().push((request.uri().path().to_owned(), has_hash));
            async {
                request.into_body().collect().await.expect("the body is whole");
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(connection).unwrap();
        found.into_inner()
    }

    /// What stands in bodies, chunks and targets: much of it looks like a request, or like its end.
    const HOSTILE: [&str; 12] = [
        "",
        "x",
        "#",
        "\r",
        "\n",
        "\r\n\r\n",
        "{\"a\": \"#\"}",
        "\r\nGET /no#x HTTP/1.1\r\n\r\n",
        "GET /no#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "0\r\n\r\n",
        "5;#\r\n",
        "POST /no#",
    ];

    fn hostile() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(&HOSTILE[..]), 0..4).prop_map(|parts| parts.concat())
    }

    /// The end of a head, with a body: none, one with a length, or one in chunks.
    fn rest() -> impl Strategy<Value = String> {
        let chunk = |data: String| if data.is_empty() { data } else { format!("{:X};e=#\r\n{data}\r\n", data.len()) };
        let chunks =
            (prop::collection::vec(hostile().prop_map(chunk), 0..3), prop::sample::select(vec!["", "T: #\r\n"]));
        prop_oneof![
            Just("\r\n".to_owned()),
            Just("\n".to_owned()),
            hostile().prop_map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len())),
            chunks.prop_map(|(chunks, trailers)| {
                format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n{trailers}\r\n", chunks.concat())
            }),
        ]
    }

    fn request() -> impl Strategy<Value = (String, bool)> {
        let select = |texts: &[&'static str]| prop::sample::select(texts.to_vec());
        let (before, method) = (select(&["", "", "\r\n", "\n\r\n"]), select(&["GET", "POST", "A#B"]));
        let (hash, end) = (select(&["", "", "#", "#b?c", "?a#/#"]), select(&["\r\n", "\n"]));
        let header = select(&["", "", "X: #\r\n", "Cookie: GET /#\n"]);
        (before, method, hash, end, header, rest()).prop_map(|(before, method, hash, end, header, rest)| {
            (format!("{before}{method} /yes{hash} HTTP/1.1{end}Host: a\r\n{header}{rest}"), hash.contains('#'))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn a_hash_is_found_in_its_own_target_however_the_bytes_are_cut(
            requests in prop::collection::vec(request(), 1..5),
        ) {
            let bytes: String = requests.iter().map(|(text, _)| text.as_str()).collect();
            let bytes = bytes.as_bytes();
            let expected: Vec<_> = requests.iter().map(|(_, has_hash)| ("/yes".to_owned(), *has_hash)).collect();
            prop_assert_eq!(&found(&bytes.chunks(1).collect::<Vec<_>>()), &expected, "byte by byte");
            for at in 0..bytes.len() {
                prop_assert_eq!(&found(&[&bytes[..at], &bytes[at..]]), &expected, "cut at {}", at);
            }
        }
    }

    #[test]
    fn plain_reads_are_not_followed() {
        let targets = RawTargets::default();
        let is_at_head = || targets.0.state.load(Ordering::Relaxed) == AT_HEAD;
        for (bytes, length) in [("GET /a HTTP/1.1\r\n\r\n", 0), ("POST /a HTTP/1.1\r\n\r\n{\"a\": 1}", 8)] {
            targets.note(bytes.as_bytes()).unwrap();
            assert_ne!(targets.0.state.load(Ordering::Relaxed), FOLLOWED, "{bytes}");
            assert!(!targets.next_has_hash(&Method::GET, Framing::Length(length)) && is_at_head(), "{bytes}");
        }
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let targets = RawTargets::default();
        targets.note(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        let surplus = vec![b'#'; 50_000];
        targets.note(&surplus).unwrap();
        targets.note(&surplus).unwrap_err();
        let targets = RawTargets::default();
        targets.note(b"GET /a HTTP/1.1\r\n\r\n{").unwrap();
        targets.note(b"").unwrap();
        targets.note(b"}").unwrap_err();
    }
}
