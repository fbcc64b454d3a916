//! An HTTP/1.1 client connection that sends prepared bytes and parses as little as possible.
//!
//! The load generator shares its cores with the server, so its processor time is missing there. Nine tenths of this
//! client's time is the kernel's TCP; hyper's client takes a quarter more.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read, in bytes; a cart of five lines takes less than 1 KiB.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// The most header fields an answer may have.
const MAX_HEADERS: usize = 32;

/// An open connection, with its last answer.
pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    filled: usize,
}

/// The positions of an answer's parts in the buffer.
struct Head {
    status: u16,
    body: Range<usize>,
}

/// An answer, borrowed from its connection until the next request.
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The unparsed head: status line and header fields.
    pub head: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// True when the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The status and the body, for a message.
    pub fn describe(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(self.body))
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.head).ok()?.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    /// Connects. Must be called within a runtime.
    ///
    /// # Errors
    /// When the connection cannot be opened.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; MAX_ANSWER_BYTES].into(), filled: 0 })
    }

    /// Sends the bytes of one request, and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails or the answer cannot be parsed. The connection cannot be used any more then.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let head = loop {
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.filled += read;
            if let Some(head) = parse_head(&self.buffer[..self.filled])? {
                break head;
            }
        };
        if head.body.end > self.buffer.len() {
            return Err(io::Error::other(format!("an answer of {} bytes", head.body.end)));
        }
        if self.filled < head.body.end {
            self.stream.read_exact(&mut self.buffer[self.filled..head.body.end]).await?;
        }
        Ok(Answer { status: head.status, head: &self.buffer[..head.body.start], body: &self.buffer[head.body] })
    }
}

/// Parses the head of an answer; `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(bytes).map_err(io::Error::other)? {
        httparse::Status::Complete(start) => start,
        httparse::Status::Partial => return Ok(None),
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok())
        .ok_or_else(|| io::Error::other("an answer without Content-Length"))?;
    let status = response.code.ok_or_else(|| io::Error::other("an answer without a status"))?;
    Ok(Some(Head { status, body: start..start + length }))
}
