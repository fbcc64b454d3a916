//! What became of a request that has no answer of success, and the exit status that says so.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;

/// The outcome of a request. Programs tell outcomes apart by [`Outcome::exit_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was refused: it, the payment or the store's state has to change first. Nothing was applied.
    Refused,
    /// There is no such thing. Nothing was applied.
    NotFound,
    /// The state of a record forbids it. Nothing was applied.
    Conflict,
    /// The API key is missing, wrong or has not the right. Nothing was applied.
    Denied,
    /// Nothing was applied, and the same request may succeed later.
    NotApplied,
    /// It may have been applied or not.
    Unknown,
}

impl Outcome {
    /// The exit status of a command that ends with this outcome. 2 is for options that cannot be used.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::Refused => 1,
            Outcome::NotFound => 3,
            Outcome::Conflict => 4,
            Outcome::Denied => 5,
            Outcome::NotApplied => 6,
            Outcome::Unknown => 7,
        }
    }
}

/// A request that was not carried out, or may not have been.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What became of it; never [`Outcome::Done`].
    pub outcome: Outcome,
    /// The status of the last answer; `None` when there was none.
    pub status: Option<StatusCode>,
    /// The `code` of the last answer, if it was a problem of a store.
    pub code: Option<String>,
    /// The explanation for people.
    pub detail: String,
    /// The body of the last answer, unchanged.
    pub body: Bytes,
    /// The time after which the store wants to be asked again, if it said so.
    pub retry_after: Option<Duration>,
    /// The number of times that the request was sent.
    pub attempts: u32,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, " ({} {code})", status.as_u16())?,
            (Some(status), None) => write!(f, " ({})", status.as_u16())?,
            (None, _) => {}
        }
        if self.attempts > 1 {
            write!(f, ", after {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
