//! Follows a time server: asks it by SNTP for the offset of the system's clock, on a thread of its own, so that no
//! request ever waits for it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use http::uri::Authority;
use rsntp::{Config, ProtocolError, SntpClient, SynchronizationError};

use super::clock::Clock;
use crate::error::{Error, Invalid, Result};

/// The time between two questions to a server that answers.
const INTERVAL: Duration = Duration::from_secs(300);
/// The first pause after a question without an answer, the least that RFC 4330, section 10, allows. It doubles up to
/// [`INTERVAL`].
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// The pause after a kiss of death (RFC 4330, section 8).
const KISS_OF_DEATH_PAUSE: Duration = Duration::from_secs(3_600);
/// The time limit for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;
/// The number of missing answers in a row after which the correction ends. Fewer may be lost packets.
const MAX_MISSING: u32 = 3;
/// The port of NTP.
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
        let invalid = || Error::Invalid(Invalid::general(format!("`{text}` is neither HOST nor HOST:PORT")));
        // An authority would read the colons of a bare IPv6 address as a port.
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(server(&ip.to_string(), DEFAULT_PORT));
        }
        let authority = text.parse::<Authority>().map_err(|_| invalid())?;
        let host = authority.host();
        let port = match text.strip_prefix(host) {
            Some("") => DEFAULT_PORT,
            Some(_) => authority.port_u16().ok_or_else(invalid)?,
            None => return Err(invalid()),
        };
        let host = host.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || port == 0 { Err(invalid()) } else { Ok(server(host, port)) }
    }
}

impl fmt::Display for NtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NtpServer { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl NtpServer {
    /// Asks the server once for the seconds by which the system's clock is behind its own. That takes some seconds when it
    /// does not answer.
    ///
    /// # Errors
    /// The reason for a missing answer.
    pub fn offset_seconds(&self) -> std::result::Result<f64, String> {
        ask(self).map_err(|missing| missing.reason)
    }
}

/// The reason for a missing answer.
#[derive(Debug)]
struct NoReply {
    reason: String,
    /// True when the server asked not to be asked again soon.
    kiss_of_death: bool,
}

/// Keeps a clock corrected by a server while the process runs.
///
/// # Errors
/// [`Error::Internal`] when no thread can be started.
pub fn follow(server: NtpServer, clock: Arc<Clock>) -> Result<()> {
    let mut follower = Follower { server, clock, state: State::Unknown, missing: 0 };
    thread::Builder::new()
        .name("ntp".into())
        .spawn(move || {
            loop {
                let answer = ask(&follower.server);
                thread::sleep(follower.record_reply(answer));
            }
        })
        .map(drop)
        .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Answers,
    Silent,
}

/// The state of following a server.
#[derive(Debug)]
struct Follower {
    server: NtpServer,
    clock: Arc<Clock>,
    state: State,
    /// The number of missing answers in a row.
    missing: u32,
}

impl Follower {
    /// Applies an answer, an offset in seconds or its lack. Returns the pause before the next question.
    fn record_reply(&mut self, answer: std::result::Result<f64, NoReply>) -> Duration {
        match answer {
            Ok(offset) => {
                self.missing = 0;
                // The cast saturates at an offset of 292 years.
                self.clock.correct((offset * 1e9) as i64);
                if self.state != State::Answers {
                    tracing::info!(server = %self.server, offset_seconds = offset, "the time server answers: its time counts");
                }
                self.state = State::Answers;
                INTERVAL
            }
            Err(missing) => {
                self.missing = self.missing.saturating_add(1);
                let may_wait = self.state == State::Answers && self.missing < MAX_MISSING;
                if self.state != State::Silent && !may_wait {
                    self.state = State::Silent;
                    self.clock.correct(0);
                    let reason = missing.reason;
                    tracing::warn!(server = %self.server, reason, "the time server does not answer: the system's clock counts");
                }
                if missing.kiss_of_death { KISS_OF_DEATH_PAUSE } else { retry_after(self.missing) }
            }
        }
    }
}

fn retry_after(missing: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(missing.saturating_sub(1))).min(INTERVAL)
}

/// The seconds by which the system's clock is behind a server's.
fn ask(server: &NtpServer) -> std::result::Result<f64, NoReply> {
    let no_reply = |reason: String| NoReply { reason, kiss_of_death: false };
    // The SNTP library assumes a time after 1970.
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Err(no_reply("the system's clock is before 1970".into()));
    }
    let addresses =
        (server.host.as_str(), server.port).to_socket_addrs().map_err(|error| no_reply(error.to_string()))?;
    let mut last = no_reply("it has no address".into());
    for address in addresses.take(MAX_ADDRESSES) {
        match ask_at(address) {
            Ok(offset) => return Ok(offset),
            Err(error) => {
                let kiss_of_death = matches!(error, SynchronizationError::ProtocolError(ProtocolError::KissODeath(_)));
                last = NoReply { reason: error.to_string(), kiss_of_death: last.kiss_of_death || kiss_of_death };
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

    fn no_reply(kiss_of_death: bool) -> std::result::Result<f64, NoReply> {
        Err(NoReply { reason: "test".into(), kiss_of_death })
    }

    fn follower() -> Follower {
        Follower { server: "localhost".parse().unwrap(), clock: Arc::default(), state: State::Unknown, missing: 0 }
    }

    /// The correction of a clock, in whole seconds.
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
        assert_eq!(follower.record_reply(Ok(3_600.0)), INTERVAL);
        assert_eq!((offset(&follower), follower.state), (3_600, State::Answers));
        for _ in 1..MAX_MISSING {
            follower.record_reply(no_reply(false));
            assert_eq!((offset(&follower), follower.state), (3_600, State::Answers));
        }
        follower.record_reply(no_reply(false));
        assert_eq!((offset(&follower), follower.state), (0, State::Silent));
        follower.record_reply(Ok(-7.0));
        assert_eq!((offset(&follower), follower.state, follower.missing), (-7, State::Answers, 0));
    }

    #[test]
    fn a_server_that_never_answered_is_asked_less_and_less_often() {
        let mut follower = follower();
        let waits: Vec<_> = (0..40).map(|_| follower.record_reply(no_reply(false)).as_secs()).collect();
        assert_eq!(waits[..6], [15, 30, 60, 120, 240, 300]);
        assert!(waits[6..].iter().all(|wait| *wait == 300));
        assert_eq!((offset(&follower), follower.state), (0, State::Silent));
        assert_eq!(follower.record_reply(no_reply(true)), KISS_OF_DEATH_PAUSE);
    }
}
