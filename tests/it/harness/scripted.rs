//! A server that gives the answers of a script, one a connection, so that a test sees what a client does with answers that no
//! store gives on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::DEADLINE;

/// A running server. Each connection gets the next answer, the last one again and again, and is closed; an empty answer
/// closes it at once.
pub struct Scripted {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    closing: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Scripted {
    pub fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (requests, closing) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        let (seen, ends) = (requests.clone(), closing.clone());
        let accepting = thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let answer = &answers[number.min(answers.len() - 1)];
                // A client that has gone away has its own opinion about the answer.
                let _ = stream.and_then(|stream| serve(stream, answer, &seen));
            }
        });
        Scripted { address, requests, closing, accepting: Some(accepting) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far: heads in lower case, then the bodies.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }
}

/// An answer with these headers, each ended by a line break, and this body.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// A problem as a store describes it.
pub fn problem(status: u16, code: &str) -> String {
    problem_with(status, code, "")
}

/// The same with a `Retry-After` that no client waits for.
pub fn lasting_problem(status: u16, code: &str) -> String {
    problem_with(status, code, "retry-after: 86400\r\n")
}

fn problem_with(status: u16, code: &str, headers: &str) -> String {
    let body = format!(r#"{{"type":"/problems/x","status":{status},"code":"{code}","detail":"said {code}"}}"#);
    answer(status, &format!("content-type: application/problem+json\r\n{headers}"), &body)
}

fn lock(requests: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, answer: &str, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    while !request.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        // The path keeps its case.
        let line = if request.is_empty() { line } else { line.to_ascii_lowercase() };
        length = line.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
        request.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    request.push_str(&String::from_utf8_lossy(&body));
    lock(seen).push(request);
    stream.get_mut().write_all(answer.as_bytes())
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; when that fails it has ended.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
