//! The access log: a line for each answer, by which its request id is found. It names paths by their templates, so that no
//! line has a customer's id, unless the log level is debug.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::json::writer::Json;
use crate::process::line_writer::LineWriter;
use crate::process::logging::{self, LogFormat};

/// The default size past which the file is rotated, in bytes.
pub const DEFAULT_ACCESS_LOG_BYTES: u64 = 128 << 20;
/// The room for a line, in bytes; most need less.
const LINE_BYTES: usize = 320;
/// The most bytes of a method that are shown: a client may send a longer one.
const MAX_METHOD_BYTES: usize = 16;
/// What stands for a missing part of a line for people.
const NOTHING: &str = "-";

/// The characters that are percent-encoded, as all that are not ASCII are.
const HIDDEN: &AsciiSet = &CONTROLS.add(b' ');

/// Where the access log is, and what it looks like.
#[derive(Debug, Clone)]
pub struct AccessLogOptions {
    /// The directory of `access.log`.
    pub directory: PathBuf,
    /// The format of its lines.
    pub format: LogFormat,
    /// The size past which `access.log` replaces `access.log.1`, in bytes.
    pub max_bytes: u64,
}

/// An answer, and what is known of its request.
pub struct Entry<'a> {
    /// The id that the answer carries.
    pub request_id: &'a HeaderValue,
    /// The client, or the proxy in front.
    pub peer: SocketAddr,
    /// The id of the API key, where one was needed and a known one given.
    pub key_id: Option<&'a str>,
    /// The rest, of what could be read as a request.
    pub request: Option<RequestEntry<'a>>,
    /// The status.
    pub status: StatusCode,
    /// The length of the body on the wire; `None` while it is not known.
    pub bytes: Option<u64>,
}

/// What an entry says of what could be read as a request.
pub struct RequestEntry<'a> {
    /// The method as it was sent.
    pub method: &'a str,
    /// The template of the path.
    pub path: &'a str,
    /// The path and query, with ids in it.
    pub target: &'a str,
    /// The time from the head to the answer.
    pub latency: Duration,
    /// The shard that was asked, if it was one.
    pub shard: Option<usize>,
}

/// The access log of a facade.
#[derive(Clone)]
pub struct AccessLog {
    lines: LineWriter,
    format: LogFormat,
    /// True to show targets, with the ids in them.
    shows_targets: bool,
}

impl AccessLog {
    /// Opens the log. Targets are shown when the level of the log is debug now.
    ///
    /// # Errors
    /// [`Error::Internal`] when the file cannot be made or opened.
    pub fn open(options: &AccessLogOptions) -> Result<Self> {
        let directory = &options.directory;
        let lines = logging::access_log(directory, options.max_bytes).map_err(|error| {
            Error::Internal(format!("cannot open the access log in {}: {error}", directory.display()))
        })?;
        let shows_targets = tracing::enabled!(tracing::Level::DEBUG);
        Ok(AccessLog { lines, format: options.format, shows_targets })
    }

    /// Logs an answer. It never waits: a line for which there is no room is dropped and counted.
    pub fn write(&self, entry: &Entry<'_>) {
        let line = match self.format {
            LogFormat::Human => self.for_people(entry, now()).into_bytes(),
            LogFormat::Json => self.json(entry, now()),
        };
        self.lines.push(line);
    }

    fn for_people(&self, entry: &Entry<'_>, at: Timestamp) -> String {
        let mut line = String::with_capacity(LINE_BYTES);
        let request = entry.request.as_ref();
        let (method, path) = request.map_or((NOTHING, NOTHING), |request| (shown_method(request.method), request.path));
        // Nothing that a client sends has a space or a control character here, so that it cannot make up a field or a line.
        let written = write!(
            line,
            "{at} {} {} key={} {method} {path} {} bytes={} us={} shard={}",
            entry.request_id.to_str().unwrap_or(NOTHING),
            entry.peer,
            or_nothing(entry.key_id.map(shown)),
            entry.status.as_u16(),
            or_nothing(entry.bytes),
            or_nothing(request.map(|request| request.latency.as_micros())),
            or_nothing(request.and_then(|request| request.shard)),
        );
        if let Some(request) = request.filter(|_| self.shows_targets) {
            let _ = written.and_then(|()| write!(line, " {}", shown(request.target)));
        }
        line.push('\n');
        line
    }

    fn json(&self, entry: &Entry<'_>, at: Timestamp) -> Vec<u8> {
        let mut json = Json::with_capacity(LINE_BYTES);
        let request = entry.request.as_ref();
        json.raw(r#"{"time":"#).time(Some(at));
        json.raw(r#","request_id":"#).optional_string(entry.request_id.to_str().ok());
        json.raw(r#","peer":"#).string(&entry.peer.to_string());
        json.raw(r#","key_id":"#).optional_string(entry.key_id);
        json.raw(r#","method":"#).optional_string(request.map(|request| shown_method(request.method)));
        json.raw(r#","path":"#).optional_string(request.map(|request| request.path));
        json.raw(r#","status":"#).integer(entry.status.as_u16().into());
        json.raw(r#","bytes":"#).optional_integer(entry.bytes);
        let micros = |request: &RequestEntry<'_>| u64::try_from(request.latency.as_micros()).unwrap_or(u64::MAX);
        json.raw(r#","microseconds":"#).optional_integer(request.map(micros));
        let shard = request.and_then(|request| request.shard);
        json.raw(r#","shard":"#).optional_integer(shard.map(|shard| shard as u64));
        if let Some(request) = request.filter(|_| self.shows_targets) {
            json.raw(r#","target":"#).string(&shown(request.target).to_string());
        }
        json.raw("}\n");
        json.into_bytes()
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()).unwrap_or_default()
}

fn or_nothing(part: Option<impl Display>) -> String {
    part.map_or_else(|| NOTHING.to_owned(), |part| part.to_string())
}

/// A method is made of ASCII characters without spaces and control characters (RFC 9110, section 5.6.2).
fn shown_method(method: &str) -> &str {
    method.get(..MAX_METHOD_BYTES).unwrap_or(method)
}

/// A target or the id of a key, without anything that a terminal or a reader of lines could take for more than that.
fn shown(text: &str) -> impl Display {
    utf8_percent_encode(text, HIDDEN)
}
