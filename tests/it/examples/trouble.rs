//! A proxy for a store that makes every request meet all faults that a client must handle: not applied, applied with
//! the answer lost, in progress, outcome unknown.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::harness::http::Connection;

/// A fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 503: it does not reach the store.
    NotApplied,
    /// The store applies it, and the connection breaks before the answer.
    AnswerLost,
    /// 409 in-flight: it does not reach the store.
    InFlight,
    /// The store applies it, and the client gets 504.
    OutcomeUnknown,
}

impl Trouble {
    /// All faults, in the order in which a request meets them.
    pub const ALL: [Trouble; 4] =
        [Trouble::NotApplied, Trouble::AnswerLost, Trouble::InFlight, Trouble::OutcomeUnknown];
}

/// A running proxy.
pub struct Troublesome {
    address: SocketAddr,
    attempts: Attempts,
}

/// The number of attempts of each request. Writes are identified by their idempotency key, reads by their path.
type Attempts = Arc<Mutex<HashMap<String, usize>>>;

struct Incoming {
    method: String,
    name: String,
    bytes: Vec<u8>,
}

impl Troublesome {
    /// Starts a proxy for a store.
    pub fn start(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let attempts = Attempts::default();
        let counted = attempts.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let counted = counted.clone();
                // An error means that the client has closed its connection.
                thread::spawn(move || stream.and_then(|stream| serve(stream, store, &counted)));
            }
        });
        Troublesome { address, attempts }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of requests that have met a fault.
    pub fn met(&self, trouble: Trouble) -> usize {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = Trouble::ALL.iter().position(|other| *other == trouble).expect("all of them are in the list") + 1;
        attempts.values().filter(|tried| **tried >= needed).count()
    }
}

/// Answers one request and closes the connection.
fn serve(stream: TcpStream, store: SocketAddr, attempts: &Attempts) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let request = Incoming::read(&mut reader)?;
    let trouble = {
        let mut attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = attempts.entry(request.name.clone()).or_default();
        *tried += 1;
        Trouble::ALL.get(*tried - 1).copied()
    };
    let problem = |status: u16, kind: &str| {
        let body = format!("{{\"type\":\"/problems/{kind}\",\"detail\":\"trouble\"}}");
        response(status, "retry-after: 0\r\n", body.as_bytes())
    };
    let answer = match trouble {
        Some(Trouble::NotApplied) => problem(503, "unavailable"),
        Some(Trouble::InFlight) => problem(409, "in-flight"),
        Some(Trouble::AnswerLost) => return request.forward(store).map(|_| ()),
        Some(Trouble::OutcomeUnknown) => request.forward(store).map(|_| problem(504, "outcome-unknown"))?,
        None => request.forward(store)?,
    };
    reader.get_mut().write_all(&answer)
}

impl Incoming {
    fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let (mut head, mut length, mut key) = (String::new(), 0, None);
        loop {
            let start = head.len();
            reader.read_line(&mut head)?;
            let line = head[start..].trim_end();
            match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
                Some((name, value)) if name == "content-length" => length = value.parse().map_err(io::Error::other)?,
                Some((name, value)) if name == "idempotency-key" => key = Some(value.to_owned()),
                _ => {}
            }
            if line.is_empty() {
                break;
            }
        }
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut bytes = head.clone().into_bytes();
        bytes.resize(head.len() + length, 0);
        reader.read_exact(&mut bytes[head.len()..])?;
        Ok(Incoming { method, name: key.unwrap_or(path), bytes })
    }

    /// The store's answer, in the form that is sent to the client.
    fn forward(&self, store: SocketAddr) -> io::Result<Vec<u8>> {
        let mut connection = Connection::open(store)?;
        connection.send(&self.bytes)?;
        let answer = connection.receive(&self.method)?;
        let kept = answer.headers.iter().filter(|(name, _)| !["connection", "content-length"].contains(&name.as_str()));
        let headers: String = kept.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Ok(response(answer.status, &headers, &answer.body))
    }
}

fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}
