//! Asks a time server by SNTP how far the system's clock is off: in the background, on a thread of its
//! own, so that no request ever waits for it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use rsntp::{Config, ProtocolError, SntpClient, SynchronizationError};

use super::clock::Clock;
use crate::error::{Error, Result};

/// How often a server that answers is asked.
const INTERVAL: Duration = Duration::from_secs(300);
/// How soon a server that does not answer is asked again at first; it doubles up to [`INTERVAL`]. RFC
/// 4330, section 10, allows no less.
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// How long a server that has asked to be left alone is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(3_600);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many of a host's addresses are tried.
const MAX_ADDRESSES: usize = 4;
/// How many answers in a row may be missing before the correction is given up: a packet may get lost.
const MAX_MISSING: u32 = 3;
/// Where time servers listen.
const DEFAULT_PORT: u16 = 123;

/// A time server: `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtpServer {
    host: String,
    port: u16,
}

impl FromStr for NtpServer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let server = |host: &str, port| NtpServer { host: host.to_owned(), port };
        let invalid = || Error::Invalid(format!("`{text}` is neither HOST nor HOST:PORT"));
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(server(&address.ip().to_string(), address.port()));
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(server(&ip.to_string(), DEFAULT_PORT));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| invalid())?),
            None => (text, DEFAULT_PORT),
        };
        let is_host =
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if is_host && port != 0 { Ok(server(host, port)) } else { Err(invalid()) }
    }
}

impl fmt::Display for NtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NtpServer { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Why there is no answer.
#[derive(Debug)]
struct Silence {
    reason: String,
    /// The server has asked to be left alone.
    is_wanted: bool,
}

/// Keeps a clock corrected by a server, for as long as the process runs.
///
/// # Errors
/// [`Error::Fault`] when no thread can be had.
pub fn follow(server: NtpServer, clock: Arc<Clock>) -> Result<()> {
    let mut follower = Follower { server, clock, state: State::Unknown, missing: 0 };
    thread::Builder::new()
        .name("ntp".into())
        .spawn(move || {
            loop {
                let answer = ask(&follower.server);
                thread::sleep(follower.hear(answer));
            }
        })
        .map(drop)
        .map_err(|error| Error::Fault(format!("cannot start a thread: {error}")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Answers,
    Silent,
}

/// What is known of a server.
#[derive(Debug)]
struct Follower {
    server: NtpServer,
    clock: Arc<Clock>,
    state: State,
    /// Answers that are missing in a row.
    missing: u32,
}

impl Follower {
    /// Takes an offset in seconds, or that there is none; tells when to ask again.
    fn hear(&mut self, answer: std::result::Result<f64, Silence>) -> Duration {
        match answer {
            Ok(offset) => {
                self.missing = 0;
                // What does not fit is as far off as can be.
                self.clock.correct((offset * 1e9) as i64);
                if self.state != State::Answers {
                    tracing::info!(server = %self.server, offset_seconds = offset, "the time server answers: its time counts");
                }
                self.state = State::Answers;
                INTERVAL
            }
            Err(silence) => {
                self.missing = self.missing.saturating_add(1);
                let may_wait = self.state == State::Answers && self.missing < MAX_MISSING;
                if self.state != State::Silent && !may_wait {
                    self.state = State::Silent;
                    self.clock.correct(0);
                    let reason = silence.reason;
                    tracing::warn!(server = %self.server, reason, "the time server does not answer: the system's clock counts");
                }
                if silence.is_wanted { LEFT_ALONE } else { retry_after(self.missing) }
            }
        }
    }
}

fn retry_after(missing: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(missing.saturating_sub(1))).min(INTERVAL)
}

/// By how many seconds the system's clock is behind a server's.
fn ask(server: &NtpServer) -> std::result::Result<f64, Silence> {
    let silence = |reason: String| Silence { reason, is_wanted: false };
    // The protocol's library takes a time after 1970 for granted.
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Err(silence("the system's clock is before 1970".into()));
    }
    let addresses =
        (server.host.as_str(), server.port).to_socket_addrs().map_err(|error| silence(error.to_string()))?;
    let mut last = silence("it has no address".into());
    for address in addresses.take(MAX_ADDRESSES) {
        match ask_at(address) {
            Ok(offset) => return Ok(offset),
            Err(error) => {
                let is_wanted = matches!(error, SynchronizationError::ProtocolError(ProtocolError::KissODeath(_)));
                last = Silence { reason: error.to_string(), is_wanted: last.is_wanted || is_wanted };
            }
        }
    }
    Err(last)
}

fn ask_at(address: SocketAddr) -> std::result::Result<f64, SynchronizationError> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let config = Config::default().bind_address((any, 0).into()).timeout(TIMEOUT);
    Ok(SntpClient::with_config(config).synchronize(address)?.clock_offset().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(is_wanted: bool) -> std::result::Result<f64, Silence> {
        Err(Silence { reason: "test".into(), is_wanted })
    }

    fn follower() -> Follower {
        Follower { server: "localhost".parse().unwrap(), clock: Arc::default(), state: State::Unknown, missing: 0 }
    }

    /// Whole seconds by which a clock is corrected.
    fn offset(follower: &Follower) -> i64 {
        let plain = Clock::default();
        (follower.clock.now() - plain.now() + 500_000_000).div_euclid(1_000_000_000)
    }

    #[test]
    fn servers_are_read_with_and_without_a_port() {
        for (text, read) in [
            ("pool.ntp.org", "pool.ntp.org:123"),
            ("localhost:1123", "localhost:1123"),
            ("10.0.0.1", "10.0.0.1:123"),
            ("10.0.0.1:1123", "10.0.0.1:1123"),
            ("::1", "[::1]:123"),
            ("[::1]", "[::1]:123"),
            ("[::1]:1123", "[::1]:1123"),
        ] {
            let server = text.parse::<NtpServer>().unwrap();
            assert_eq!(server.to_string(), read);
            assert_eq!(server.to_string().parse(), Ok(server));
        }
        for text in ["", ":", ":123", "host:", "host:70000", "host:0", "a b", "http://host", "host:1:2"] {
            assert!(text.parse::<NtpServer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_that_falls_silent_is_given_up_after_a_while_and_taken_up_again() {
        let mut follower = follower();
        assert_eq!(follower.hear(Ok(3_600.0)), INTERVAL);
        assert_eq!((offset(&follower), follower.state), (3_600, State::Answers));
        for _ in 1..MAX_MISSING {
            follower.hear(silence(false));
            assert_eq!((offset(&follower), follower.state), (3_600, State::Answers));
        }
        follower.hear(silence(false));
        assert_eq!((offset(&follower), follower.state), (0, State::Silent));
        follower.hear(Ok(-7.0));
        assert_eq!((offset(&follower), follower.state, follower.missing), (-7, State::Answers, 0));
    }

    #[test]
    fn a_server_that_never_answered_is_asked_less_and_less_often() {
        let mut follower = follower();
        let waits: Vec<_> = (0..40).map(|_| follower.hear(silence(false)).as_secs()).collect();
        assert_eq!(waits[..6], [15, 30, 60, 120, 240, 300]);
        assert!(waits[6..].iter().all(|wait| *wait == 300));
        assert_eq!((offset(&follower), follower.state), (0, State::Silent));
        assert_eq!(follower.hear(silence(true)), LEFT_ALONE);
    }
}
