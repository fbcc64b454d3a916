//! A payment gateway that a test has in its hands: a real HTTP server that keeps payments by order, counts
//! what it was asked to do, and loses, delays or refuses what it is told to.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// What a gateway is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Authorise,
    Lookup,
    Capture,
    Void,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is done, and the answer lost.
    Lose,
    /// It is not done, and the connection closed.
    Ignore,
    /// It is not done, and the answer is 500.
    Fail,
    /// It waits until the test lets it go on, and is done then.
    Hold,
    /// It is refused for good.
    Refuse,
}

/// What the gateway did for one order.
#[derive(Debug, Clone, Default)]
pub struct Paid {
    pub state: &'static str,
    pub amount: String,
    /// How often money was set aside; more than once would be a second charge.
    pub authorised: u32,
    /// How often it was taken.
    pub captured: u32,
    /// How many requests there were for it.
    pub requests: u32,
}

#[derive(Default)]
struct State {
    payments: HashMap<String, Paid>,
    faults: HashMap<Action, VecDeque<Fault>>,
    released: bool,
    seen: Vec<String>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    closing: AtomicBool,
}

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Gateway {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), closing: AtomicBool::new(false) });
        let accepting = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.closing.load(Ordering::SeqCst) {
                    return;
                }
                let shared = accepting.clone();
                // A client that went away is no business of ours.
                thread::spawn(move || _ = shared.serve(stream));
            }
        });
        Gateway { address, shared }
    }

    /// What `--payment` is to be.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The next request for an action goes wrong, after those planned before.
    pub fn plan(&self, action: Action, fault: Fault) {
        self.shared.lock().faults.entry(action).or_default().push_back(fault);
    }

    /// Lets held requests go on, now and from now on.
    pub fn release(&self) {
        self.shared.lock().released = true;
        self.shared.changed.notify_all();
    }

    /// What was done for an order.
    pub fn paid(&self, order: &str) -> Paid {
        self.shared.lock().payments.get(order).cloned().unwrap_or_default()
    }

    /// What was done, by order.
    pub fn payments(&self) -> HashMap<String, Paid> {
        self.shared.lock().payments.clone()
    }

    /// The bodies of all requests.
    pub fn seen(&self) -> Vec<String> {
        self.shared.lock().seen.clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.release();
        // Wakes the thread that accepts; when that fails it has ended.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut parts = line.split(' ');
        let (method, path) = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let (status, answer) = match self.handle(&method, &path, &body) {
            Some(answer) => answer,
            None => return stream.shutdown(Shutdown::Both),
        };
        let text = answer.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n");
        write!(&stream, "{head}Content-Length: {}\r\n\r\n{text}", text.len())
    }

    /// The answer; `None` when there is none.
    fn handle(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let mut segments = path.trim_start_matches("/payments/").split('/');
        let order = segments.next()?.to_owned();
        let action = match (method, segments.next()) {
            ("PUT", None) => Action::Authorise,
            ("GET", None) => Action::Lookup,
            ("POST", Some("capture")) => Action::Capture,
            ("POST", Some("void")) => Action::Void,
            _ => return Some((404, json!({}))),
        };
        let mut state = self.lock();
        state.seen.push(body.to_owned());
        let fault = state.faults.get_mut(&action).and_then(VecDeque::pop_front);
        match fault {
            Some(Fault::Ignore) => return None,
            Some(Fault::Fail) => return Some((500, json!({"status": "failed"}))),
            Some(Fault::Hold) => {
                state = self.changed.wait_while(state, |state| !state.released).unwrap_or_else(PoisonError::into_inner);
            }
            Some(Fault::Lose | Fault::Refuse) | None => {}
        }
        let answer = state.apply(action, &order, body, fault == Some(Fault::Refuse));
        (fault != Some(Fault::Lose)).then_some(answer)
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
            (Action::Void, "captured") => return (409, json!({"status": "captured"})),
            (Action::Void, _) => paid.state = "voided",
            (Action::Capture, "authorised") if refuse => {
                return (409, json!({"status": "refused", "reason": "closed"}));
            }
            (Action::Capture, "authorised") => {
                paid.state = "captured";
                paid.captured += 1;
            }
            (Action::Capture, "captured") | (Action::Authorise | Action::Lookup, _) => {}
            (Action::Capture, _) => return (409, json!({"status": "refused", "reason": "not authorised"})),
        }
        let transaction = format!("tx-{order}");
        match paid.state {
            "refused" | "voided" if action == Action::Authorise => {
                (402, json!({"status": paid.state, "reason": "declined"}))
            }
            state => (200, json!({"status": state, "transaction_id": transaction, "reason": "declined"})),
        }
    }
}
