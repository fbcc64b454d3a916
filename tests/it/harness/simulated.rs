//! The simulated payment gateway as a process, on a Unix socket in its directory.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;

use super::Process;

/// A simulated gateway; it is down while `process` is `None`.
pub struct Simulated {
    data: PathBuf,
    logs: PathBuf,
    process: Option<Process>,
}

impl Simulated {
    /// Starts one with its data in `directory/gateway`.
    pub fn start(directory: &Path) -> Self {
        let mut gateway = Simulated { data: directory.join("gateway"), logs: directory.to_owned(), process: None };
        gateway.start_again();
        gateway
    }

    /// Starts it where it was.
    pub fn start_again(&mut self) {
        let data = self.data.display().to_string();
        let args = ["gateway", "--listen", &self.payment(), "--data", &data].map(str::to_owned);
        self.process = Some(Process::start("gateway", &self.logs, &args));
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.take().expect("the gateway is up").kill();
    }

    /// Sends it a signal, and waits until it has ended.
    pub fn end_with(mut self, signal: Signal) -> ExitStatus {
        self.process.take().expect("the gateway is up").end_with(signal)
    }

    /// Waits until it has ended by itself. Returns its log.
    pub fn wait(&mut self) -> String {
        let mut process = self.process.take().expect("the gateway is up");
        process.wait();
        process.log()
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.data.join("sock")
    }

    /// The value for `--payment`.
    pub fn payment(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Tells it to be slow, to refuse or to be away.
    pub fn control(&self, control: &str) {
        let (status, answer) = self.ask("PUT", "/control", control);
        assert_eq!(status, 200, "{answer}");
    }

    /// Makes a request. Returns the status and the body of the answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        ask(&self.socket(), method, path, body)
    }
}

/// Makes a request to the gateway on a Unix socket. Returns the status and the body of the answer.
pub fn ask(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).expect("the gateway listens");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("the request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("there is an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).expect("JSON"))
}
