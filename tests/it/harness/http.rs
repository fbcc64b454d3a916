//! An HTTP/1.1 client that sends exactly the given bytes, also malformed ones, and never retries, since a test has to
//! know whether a request may have been applied.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::{DEADLINE, Document};

/// The members of every problem, sorted.
const PROBLEM_MEMBERS: [&str; 7] = ["code", "detail", "message", "request_id", "status", "title", "type"];

/// A client with one persistent connection.
pub struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

/// A connection for requests as raw bytes.
pub struct Connection(BufReader<TcpStream>);

/// A request under construction.
pub struct Call<'a> {
    client: &'a mut Client,
    method: &'a str,
    head: String,
    body: Vec<u8>,
    chunked: bool,
}

/// An answer with its unparsed body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Client { address, connection: None }
    }

    /// Begins a request.
    pub fn call<'a>(&'a mut self, method: &'a str, path: &str) -> Call<'a> {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        Call { client: self, method, head, body: Vec::new(), chunked: false }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    pub fn delete(&mut self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// POST of JSON.
    pub fn post(&mut self, path: &str, json: &str) -> Answer {
        self.call("POST", path).json(json).send()
    }

    /// PUT of JSON.
    pub fn put(&mut self, path: &str, json: &str) -> Answer {
        self.call("PUT", path).json(json).send()
    }

    fn exchange(&mut self, bytes: &[u8], method: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        // A server that refuses a body may close the connection before the body is sent. Its answer can still be read.
        let written = connection.send(bytes);
        let answer = connection.receive(method).map_err(|error| written.err().unwrap_or(error))?;
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, json: &str) -> Self {
        self.header("Content-Type", "application/json").body(json)
    }

    /// Sends the body in chunks, without its length.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Sends the request and reads the answer.
    pub fn send(self) -> Answer {
        let line = self.head.lines().next().unwrap_or_default().to_owned();
        self.try_send().unwrap_or_else(|error| panic!("no answer to {line}: {error}"))
    }

    /// Sends the request, and asserts that the answer is as the OpenAPI document describes it.
    #[track_caller]
    pub fn send_as_documented(self, document: &Document) -> Answer {
        let (method, line) = (self.method, self.head.lines().next().unwrap_or_default().to_owned());
        let answer = self.send();
        document.check(method, line.split(' ').nth(1).unwrap_or_default(), &answer);
        answer
    }

    /// Sends the request as [`Call::send`] does, where the connection may break.
    pub fn try_send(self) -> io::Result<Answer> {
        const CHUNK_BYTES: usize = 8_000;
        let mut bytes = self.head.into_bytes();
        if self.chunked {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(CHUNK_BYTES) {
                write!(bytes, "{:x}\r\n", chunk.len())?;
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            if !self.body.is_empty() || ["POST", "PUT"].contains(&self.method) {
                write!(bytes, "Content-Length: {}\r\n", self.body.len())?;
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&self.body);
        }
        self.client.exchange(&bytes, self.method)
    }
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::of(TcpStream::connect(address)?)
    }

    /// A connection over a stream with options of its own.
    pub fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// A second handle of the stream, to send from another thread.
    pub fn another_end(&self) -> io::Result<TcpStream> {
        self.0.get_ref().try_clone()
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Reads the answer to a request with this method.
    pub fn receive(&mut self, method: &str) -> io::Result<Answer> {
        let mut answer = self.read_head()?;
        while (100..200).contains(&answer.status) {
            answer = self.read_head()?;
        }
        let bodiless = method == "HEAD" || [204, 304].contains(&answer.status);
        if bodiless {
            return Ok(answer);
        }
        answer.body = match answer.header("content-length") {
            Some(length) => self.read_exactly(length.parse().map_err(io::Error::other)?)?,
            None if answer.header("transfer-encoding").is_some() => self.read_chunks()?,
            None => self.read_to_end()?,
        };
        Ok(answer)
    }

    /// Reads the status of an answer that comes before the real one.
    pub fn read_interim(&mut self) -> io::Result<u16> {
        self.read_head().map(|answer| answer.status)
    }

    /// Reads until the server closes the connection.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_head(&mut self) -> io::Result<Answer> {
        let first = self.read_line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not a status line: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Answer { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other(format!("no header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(text) => Ok(text.to_owned()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("closed after {line:?}"))),
        }
    }

    fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.read_line()?, 16).map_err(io::Error::other)?;
            body.extend(self.read_exactly(length)?);
            self.read_line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The text of the first number with this name in the body.
    pub fn number(&self, member: &str) -> String {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("\"{member}\":")).unwrap_or_else(|| panic!("no {member} in {text}"));
        rest.chars().take_while(|char| "+-.0123456789eE".contains(*char)).collect()
    }

    pub fn version(&self) -> u64 {
        self.json()["version"].as_u64().unwrap_or_else(|| panic!("no version in {}", self.text()))
    }

    /// The entity tag, which is always strong.
    pub fn etag(&self) -> String {
        let tag = self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}"));
        assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "not a strong tag: {tag}");
        tag.to_owned()
    }

    pub fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Asserts that the answer is a problem with all its members, whose detail contains a text.
    #[track_caller]
    pub fn expect_problem(self, status: u16, mentions: &str) -> Self {
        self.expect_members(status, mentions, &PROBLEM_MEMBERS)
    }

    /// Asserts the same of a problem that also carries an execution id.
    #[track_caller]
    pub fn expect_executed_problem(self, status: u16, mentions: &str) -> Self {
        self.execution_id();
        let [code, detail, rest @ ..] = PROBLEM_MEMBERS;
        let members: Vec<_> = [code, detail, "execution_id"].into_iter().chain(rest).collect();
        self.expect_members(status, mentions, &members)
    }

    /// The execution id: a SHA-256 in hexadecimal digits.
    #[track_caller]
    pub fn execution_id(&self) -> String {
        let json = self.json();
        let id = json["execution_id"].as_str().unwrap_or_else(|| panic!("no execution_id in {json}"));
        let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        assert!(id.len() == 64 && is_hex, "not a SHA-256: {id}");
        id.to_owned()
    }

    #[track_caller]
    fn expect_members(self, status: u16, mentions: &str, expected: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        let mut members: Vec<_> = problem.as_object().expect("an object").keys().map(String::as_str).collect();
        members.sort_unstable();
        // Some problems also name the lines or the fields at fault.
        members.retain(|member| !["lines", "field", "errors"].contains(member));
        assert_eq!(members, expected);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["message"], problem["detail"]);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(self.header("date").is_some(), "{self:?}");
        for member in ["type", "title", "detail", "code"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(mentions), "{detail:?} does not mention {mentions:?}");
        // A detail that begins with one word and a colon is about a field, but not the words of a gateway.
        let named = detail.split_once(": ").map(|(field, _)| field).filter(|field| !field.contains(' '));
        if status < 500 && problem.get("lines").is_none() && problem["code"] != "card_declined" {
            assert_eq!(problem.get("field").and_then(Value::as_str), named, "{problem}");
        }
        self
    }
}
