//! The one error type of the library: what went wrong and whether anything was applied, free of
//! any transport. HTTP (`http::problem`) and gRPC (`wire`) each translate it in one table.

use std::fmt;

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation did not do what was asked.
///
/// Every variant but [`Error::Indeterminate`] states that nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The request is malformed: the text names the field.
    Invalid(String),
    /// There is no such thing.
    NotFound(String),
    /// The request is fine, the state forbids it.
    Refused(String),
    /// `If-Match` does not match the state.
    Precondition(String),
    /// An `Idempotency-Key` was used before, with a different request.
    KeyReused(String),
    /// A limit on how much may be kept was reached.
    Exhausted(String),
    /// Not applied and safe to retry: the shard is down, starting, overloaded or out of disk space.
    Unavailable(String),
    /// The shard asked does not own the slot: the sender's slot table is out of date.
    WrongSlot(String),
    /// The outcome is unknown: it may have been applied or not.
    Indeterminate(String),
    /// A fault of the server itself: storage that cannot be read, a data directory that is not ours.
    Fault(String),
}

impl Error {
    /// The explanation for people.
    pub fn detail(&self) -> &str {
        match self {
            Error::Invalid(text)
            | Error::NotFound(text)
            | Error::Refused(text)
            | Error::Precondition(text)
            | Error::KeyReused(text)
            | Error::Exhausted(text)
            | Error::Unavailable(text)
            | Error::WrongSlot(text)
            | Error::Indeterminate(text)
            | Error::Fault(text) => text,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for Error {}
