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
    /// No card was given where one is needed, or the payment was refused.
    PaymentRefused(String),
    /// The request is fine, the state forbids it.
    Refused(String),
    /// The request is fine, but lines of the order are at fault.
    LinesAtFault(LinesAtFault),
    /// It is being worked on, or something that is being worked on forbids it: ask again later.
    InFlight(String),
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

/// Which lines of an order cannot be sold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinesAtFault {
    /// The explanation for people.
    pub detail: String,
    /// The lines.
    pub lines: Vec<LineAtFault>,
}

/// A line that cannot be sold as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineAtFault {
    /// Which product.
    pub item: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Why a line cannot be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no such product.
    UnknownProduct,
    /// There is not so much of it.
    OutOfStock {
        /// What can be sold.
        available: u64,
    },
    /// The special sale is over, and the price is another one now; both in hundredths.
    SaleExpired {
        /// What it was offered for.
        old_price: u64,
        /// What it costs.
        new_price: u64,
    },
}

impl Fault {
    /// The fault's name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Fault::UnknownProduct => "unknown product",
            Fault::OutOfStock { .. } => "out of stock",
            Fault::SaleExpired { .. } => "sale expired",
        }
    }
}

impl LinesAtFault {
    /// Lines with an explanation that names them.
    pub fn new(lines: Vec<LineAtFault>) -> Self {
        let names: Vec<_> = lines.iter().map(|line| format!("{}: {}", line.item, line.fault.name())).collect();
        LinesAtFault { detail: names.join("; "), lines }
    }
}

impl Error {
    /// The explanation for people.
    pub fn detail(&self) -> &str {
        match self {
            Error::Invalid(text)
            | Error::NotFound(text)
            | Error::PaymentRefused(text)
            | Error::Refused(text)
            | Error::LinesAtFault(LinesAtFault { detail: text, .. })
            | Error::InFlight(text)
            | Error::Precondition(text)
            | Error::KeyReused(text)
            | Error::Exhausted(text)
            | Error::Unavailable(text)
            | Error::WrongSlot(text)
            | Error::Indeterminate(text)
            | Error::Fault(text) => text,
        }
    }

    /// True when repeating the request gets the same error. Such an answer is kept under an idempotency key;
    /// after any other the key is free again.
    pub fn is_final(&self) -> bool {
        match self {
            Error::PaymentRefused(_) | Error::NotFound(_) | Error::Refused(_) | Error::LinesAtFault(_) => true,
            Error::Invalid(_)
            | Error::InFlight(_)
            | Error::Precondition(_)
            | Error::KeyReused(_)
            | Error::Exhausted(_)
            | Error::Unavailable(_)
            | Error::WrongSlot(_)
            | Error::Indeterminate(_)
            | Error::Fault(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for Error {}
