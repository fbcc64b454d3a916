//! The error type of the library. It knows no transport: HTTP (`http::problem`) and gRPC (`protocol`) each
//! translate it in one table.

use std::borrow::Cow;
use std::fmt::{self, Display};

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why an operation failed.
///
/// Every variant but [`Error::Indeterminate`] states that nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The request is malformed.
    Invalid(Invalid),
    /// The record does not exist.
    NotFound(String),
    /// No card was given where one is needed, or the payment was refused.
    PaymentRefused(String),
    /// The request is well-formed, but conflicts with the state of the record.
    Conflict(String),
    /// The request is well-formed, but lines of the order cannot be sold.
    LinesRejected(RejectedLines),
    /// The same request, or an order that conflicts with it, is still in progress. Retry later.
    InFlight(String),
    /// `If-Match` does not match the state.
    PreconditionFailed(String),
    /// An `Idempotency-Key` was used before, with a different request.
    KeyReused(String),
    /// A limit on stored records was reached.
    Exhausted(String),
    /// Not applied and safe to retry: the shard is down, starting, overloaded or out of disk space.
    Unavailable(String),
    /// The shard asked does not own the slot: the sender's slot table is out of date.
    WrongSlot(String),
    /// The outcome is unknown: it may have been applied or not.
    Indeterminate(String),
    /// A failure of the server itself: unreadable storage, a data directory of another store.
    Internal(String),
}

/// The reason why a request, an option or a file is malformed, and the field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Empty when no single field is at fault.
    field: Cow<'static, str>,
    reason: String,
}

/// The lines of an order that cannot be sold, each with its problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLines {
    /// The explanation for people.
    pub detail: String,
    /// The lines.
    pub lines: Vec<RejectedLine>,
}

/// A line that cannot be sold as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLine {
    /// The product.
    pub item: String,
    /// The problem.
    pub problem: LineProblem,
}

/// The reason why a line cannot be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineProblem {
    /// The product does not exist.
    UnknownProduct,
    /// Fewer are in stock, but other orders that are not decided yet hold the missing ones.
    StockHeld {
        /// The number that can be sold.
        available: u64,
    },
    /// Fewer are in stock.
    OutOfStock {
        /// The number that can be sold.
        available: u64,
    },
    /// The special sale has ended at another price; both in hundredths.
    SaleExpired {
        /// The price of the offer.
        old_price: u64,
        /// The catalog's price.
        new_price: u64,
    },
}

impl Invalid {
    /// Makes the error for one malformed field. The reason continues a sentence that begins with the field's name:
    /// `must be 1 to 10`.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Display) -> Self {
        Invalid { field: field.into(), reason: reason.to_string() }
    }

    /// Makes the error when no single field is at fault, or when the caller adds its name with [`Invalid::at`].
    pub fn general(reason: impl Display) -> Self {
        Invalid::new("", reason)
    }

    /// The same reason for the field that the sender calls `field`.
    #[must_use]
    pub fn at(self, field: impl Into<Cow<'static, str>>) -> Self {
        Invalid { field: field.into(), ..self }
    }

    /// The same reason for the field as a member of an object. `path` ends with a dot, such as `payment.`.
    #[must_use]
    pub fn within(self, path: &str) -> Self {
        Invalid { field: format!("{path}{}", self.field).into(), ..self }
    }

    /// The field at fault; `None` when there is no single one.
    pub fn field(&self) -> Option<&str> {
        Some(&*self.field).filter(|field| !field.is_empty())
    }

    /// The reason, without the field.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// `field: reason`, or the reason alone.
impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field() {
            Some(field) => write!(f, "{field}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for Invalid {}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Error::Invalid(invalid)
    }
}

impl LineProblem {
    /// The name in HTTP responses.
    pub fn name(self) -> &'static str {
        match self {
            LineProblem::UnknownProduct => "unknown product",
            LineProblem::StockHeld { .. } => "stock held",
            LineProblem::OutOfStock { .. } => "out of stock",
            LineProblem::SaleExpired { .. } => "sale expired",
        }
    }
}

impl RejectedLines {
    /// Makes an error with an explanation that names the lines.
    pub fn new(lines: Vec<RejectedLine>) -> Self {
        let names: Vec<_> = lines.iter().map(|line| format!("{}: {}", line.item, line.problem.name())).collect();
        RejectedLines { detail: names.join("; "), lines }
    }

    /// True when nothing but stock that other orders hold is in the way: later the same order may succeed.
    pub fn may_pass(&self) -> bool {
        self.lines.iter().all(|line| matches!(line.problem, LineProblem::StockHeld { .. }))
    }
}

impl Error {
    /// The error for one malformed field, as [`Invalid::new`].
    pub fn invalid(field: impl Into<Cow<'static, str>>, reason: impl Display) -> Self {
        Error::Invalid(Invalid::new(field, reason))
    }

    /// The explanation for people.
    pub fn detail(&self) -> Cow<'_, str> {
        match self {
            Error::Invalid(invalid) => invalid.to_string().into(),
            Error::NotFound(text)
            | Error::PaymentRefused(text)
            | Error::Conflict(text)
            | Error::LinesRejected(RejectedLines { detail: text, .. })
            | Error::InFlight(text)
            | Error::PreconditionFailed(text)
            | Error::KeyReused(text)
            | Error::Exhausted(text)
            | Error::Unavailable(text)
            | Error::WrongSlot(text)
            | Error::Indeterminate(text)
            | Error::Internal(text) => text.into(),
        }
    }

    /// True when repeating the request gives the same error. Such an error is stored under the idempotency key; after
    /// any other error the key is free again.
    pub fn is_final(&self) -> bool {
        match self {
            Error::PaymentRefused(_) | Error::NotFound(_) | Error::Conflict(_) => true,
            Error::LinesRejected(rejected) => !rejected.may_pass(),
            Error::Invalid(_)
            | Error::InFlight(_)
            | Error::PreconditionFailed(_)
            | Error::KeyReused(_)
            | Error::Exhausted(_)
            | Error::Unavailable(_)
            | Error::WrongSlot(_)
            | Error::Indeterminate(_)
            | Error::Internal(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl std::error::Error for Error {}
