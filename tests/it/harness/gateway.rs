//! A payment gateway under a test's control: a real HTTP server that keeps payments by order, counts its requests, and
//! loses, delays or refuses those that the test chooses.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

/// The kinds of requests to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Authorise,
    Lookup,
    Capture,
    Refund,
    Void,
}

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is applied, and the answer is lost.
    Lose,
    /// It is not applied, and the connection is closed.
    Ignore,
    /// It is not applied, and the answer is 500.
    Fail,
    /// It waits until the test releases it, and is then applied.
    Hold,
    /// It is applied, and the answer waits until the test releases it.
    Late,
    /// It is finally refused.
    Refuse,
    /// It is not applied, and this is sent back: a whole answer, head and body, after which the connection closes.
    Say(&'static str),
}

/// The gateway's actions for one order.
#[derive(Debug, Clone, Default)]
pub struct Paid {
    pub state: &'static str,
    pub amount: String,
    /// The number of authorisations; more than one would be a second charge.
    pub authorised: u32,
    /// The number of captures.
    pub captured: u32,
    /// The number of refunds; more than one would give money away.
    pub refunded: u32,
    /// The number of voids, before or after an authorisation.
    pub voided: u32,
    /// The number of requests.
    pub requests: u32,
}

#[derive(Default)]
struct State {
    payments: HashMap<String, Paid>,
    faults: HashMap<Action, VecDeque<Fault>>,
    released: bool,
    seen: Vec<String>,
    authorizations: Vec<String>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    closing: AtomicBool,
}

/// A running gateway. Its address stays the same when it is stopped and started again.
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Gateway {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), closing: AtomicBool::new(false) });
        let accepting = Some(shared.clone().accept(listener));
        Gateway { address, shared, accepting }
    }

    /// Refuses connections from now on, and keeps the payments.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts. An error means that it has ended.
        let _ = TcpStream::connect(self.address);
        accepting.join().expect("the gateway failed");
    }

    /// Listens again after a stop.
    pub fn start_again(&mut self) {
        self.shared.closing.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).expect("its port is still free");
        self.accepting = Some(self.shared.clone().accept(listener));
    }

    /// The value for `--payment`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Plans a fault for the next request of a kind, after those planned before.
    pub fn plan(&self, action: Action, fault: Fault) {
        self.shared.lock().faults.entry(action).or_default().push_back(fault);
    }

    /// Releases held requests, and lets later ones pass.
    pub fn release(&self) {
        self.shared.lock().released = true;
        self.shared.changed.notify_all();
    }

    /// The actions for an order.
    pub fn paid(&self, order: &str) -> Paid {
        self.shared.lock().payments.get(order).cloned().unwrap_or_default()
    }

    /// The actions, by order.
    pub fn payments(&self) -> HashMap<String, Paid> {
        self.shared.lock().payments.clone()
    }

    /// The `Authorization` headers received, in order.
    pub fn authorizations(&self) -> Vec<String> {
        self.shared.lock().authorizations.clone()
    }

    /// The bodies of all requests.
    pub fn seen(&self) -> Vec<String> {
        self.shared.lock().seen.clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.release();
        self.stop();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: TcpListener) -> JoinHandle<()> {
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if self.closing.load(Ordering::SeqCst) {
                    return;
                }
                let shared = self.clone();
                // An error means that the client has closed its connection.
                thread::spawn(move || _ = shared.serve(stream));
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let request = Request::read(&mut BufReader::new(stream.try_clone()?))?;
        match self.handle(&request) {
            Some(Reply::Answer(status, answer)) => {
                let text = answer.to_string();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n");
                write!(stream, "{head}Content-Length: {}\r\n\r\n{text}", text.len())
            }
            Some(Reply::Said(text)) => stream.write_all(text.as_bytes()),
            None => stream.shutdown(Shutdown::Both),
        }
    }

    /// Applies a request. Returns the answer; `None` when there is none.
    fn handle(&self, request: &Request) -> Option<Reply> {
        let (order, action) = match request.what() {
            Some(what) => what,
            None => return Some(Reply::Answer(404, json!({}))),
        };
        let mut state = self.lock();
        state.seen.push(request.body.clone());
        state.authorizations.extend(request.header("authorization"));
        if request.header("idempotency-key").as_deref() != Some(order) {
            return Some(Reply::Answer(400, json!({"status": "no idempotency key"})));
        }
        let fault = state.faults.get_mut(&action).and_then(VecDeque::pop_front);
        match fault {
            Some(Fault::Ignore) => return None,
            Some(Fault::Fail) => return Some(Reply::Answer(500, json!({"status": "failed"}))),
            Some(Fault::Say(text)) => return Some(Reply::Said(text)),
            Some(Fault::Hold) => state = self.released(state),
            Some(Fault::Lose | Fault::Late | Fault::Refuse) | None => {}
        }
        let (status, answer) = state.apply(action, order, &request.body, fault == Some(Fault::Refuse));
        if fault == Some(Fault::Late) {
            drop(self.released(state));
        }
        (fault != Some(Fault::Lose)).then_some(Reply::Answer(status, answer))
    }

    fn released<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait_while(state, |state| !state.released).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes to send back.
enum Reply {
    Answer(u16, Value),
    Said(&'static str),
}

/// A received request.
struct Request {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut request = Request { line, headers: Vec::new(), body: String::new() };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            request.headers.push(header);
        }
        let length = request.header("content-length").map_or(Ok(0), |text| text.parse()).map_err(io::Error::other)?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        Ok(request)
    }

    fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().filter_map(|header| header.split_once(':'));
        found.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
    }

    /// The order and the kind of the request.
    fn what(&self) -> Option<(&str, Action)> {
        let mut parts = self.line.split(' ');
        let (method, path) = (parts.next()?, parts.next()?);
        let mut segments = path.strip_prefix("/payments/")?.split('/');
        let order = segments.next()?;
        let action = match (method, segments.next()) {
            ("PUT", None) => Action::Authorise,
            ("GET", None) => Action::Lookup,
            ("POST", Some("capture")) => Action::Capture,
            ("POST", Some("refund")) => Action::Refund,
            ("POST", Some("void")) => Action::Void,
            _ => return None,
        };
        Some((order, action))
    }
}

impl State {
    fn apply(&mut self, action: Action, order: &str, body: &str, refuse: bool) -> (u16, Value) {
        let amount =
            serde_json::from_str::<Value>(body).ok().and_then(|body| Some(body["amount"].as_str()?.to_owned()));
        if action == Action::Lookup && !self.payments.contains_key(order) {
            return (404, json!({}));
        }
        let paid = self.payments.entry(order.to_owned()).or_default();
        paid.requests += 1;
        match (action, paid.state) {
            (Action::Authorise, "") if refuse => paid.state = "refused",
            (Action::Authorise, "") => {
                paid.state = "authorised";
                paid.amount = amount.unwrap_or_default();
                paid.authorised += 1;
            }
            (Action::Void, state @ ("captured" | "refunded")) => return (409, json!({"status": state})),
            (Action::Void, "voided") => {}
            (Action::Void, _) => {
                paid.state = "voided";
                paid.voided += 1;
            }
            (Action::Capture, "authorised") if refuse => {
                return (409, json!({"status": "refused", "reason": "closed"}));
            }
            (Action::Capture, "authorised") => {
                paid.state = "captured";
                paid.captured += 1;
            }
            (Action::Refund, "captured") if refuse => {
                return (409, json!({"status": "refused", "reason": "closed"}));
            }
            (Action::Refund, "captured") => {
                paid.state = "refunded";
                paid.refunded += 1;
            }
            (Action::Refund, "refunded") => {}
            (Action::Refund, state) => return (409, json!({"status": state})),
            (Action::Capture, "captured") | (Action::Authorise | Action::Lookup, _) => {}
            (Action::Capture, _) => return (409, json!({"status": "refused", "reason": "not authorised"})),
        }
        let transaction = format!("tx-{order}");
        match paid.state {
            "refused" | "voided" | "refunded" if action == Action::Authorise => {
                (402, json!({"status": paid.state, "reason": "declined"}))
            }
            state => (200, json!({"status": state, "transaction_id": transaction, "reason": "declined"})),
        }
    }
}
