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
    /// No card was given where one is needed.
    CardMissing(String),
    /// The payment was refused.
    PaymentRefused(String),
    /// The request is well-formed, but conflicts with the state of the record.
    Conflict(Conflict),
    /// The request is well-formed, but lines of the order cannot be sold.
    LinesRejected(RejectedLines),
    /// The same request, or an order that conflicts with it, is still in progress. Retry later.
    InFlight(String),
    /// `If-Match` does not match the state.
    PreconditionFailed(String),
    /// An `Idempotency-Key` was used before, with a different request.
    KeyReused(String),
    /// A limit on stored records was reached.
    Exhausted(Exhausted),
    /// The shard is at its memory limit: nothing that grows is applied.
    OutOfMemory(String),
    /// Not applied and safe to retry: the shard is down, starting, overloaded or out of disk space.
    Unavailable(String),
    /// The shard asked does not own the slot: the sender's slot table is out of date.
    WrongSlot(String),
    /// The outcome is unknown: it may have been applied or not.
    Indeterminate(String),
    /// A failure of the server itself: unreadable storage, a data directory of another store.
    Internal(String),
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// The explanation for people.
    pub detail: String,
    /// The time after which there is room, in seconds, if that is known.
    pub retry_after: Option<u32>,
}

impl From<&str> for Exhausted {
    fn from(detail: &str) -> Self {
        Exhausted { detail: detail.to_owned(), retry_after: None }
    }
}

/// The reason why a request, an option or a file is malformed, and the field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Empty when no single field is at fault.
    field: Cow<'static, str>,
    reason: String,
    is_missing: bool,
}

/// The reason why the state of a record forbids a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The reason for programs.
    pub code: ConflictCode,
    /// The explanation for people.
    pub detail: String,
}

/// What programs tell conflicts apart by. The names are on users' disks, in stored replies, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictCode {
    /// None of the others: a reply that was stored by a release without codes.
    Other,
    /// Fewer are in stock than were asked for.
    OutOfStock,
    /// The id is taken.
    IdExists,
    /// A count would pass its limit.
    CountLimit,
    /// The cart has as many lines as it can.
    CartFull,
    /// The stock would pass its limit.
    StockLimit,
    /// The order is not created.
    OrderNotCreated,
    /// The record does not go from its state to the one that was asked for.
    WrongState,
    /// The goods of the order have been dispatched.
    OrderDispatched,
    /// A delivery of the order's goods is under way.
    DeliveryExists,
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
        Invalid { field: field.into(), reason: reason.to_string(), is_missing: false }
    }

    /// Makes the error for a field that is required and missing.
    pub fn missing(field: impl Into<Cow<'static, str>>) -> Self {
        Invalid { is_missing: true, ..Invalid::new(field, "is missing") }
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

    /// The reason for programs.
    pub fn code(&self) -> &'static str {
        if self.is_missing { "missing" } else { "invalid" }
    }
}

impl ConflictCode {
    /// Every code.
    pub const ALL: [ConflictCode; 10] = [
        ConflictCode::Other,
        ConflictCode::OutOfStock,
        ConflictCode::IdExists,
        ConflictCode::CountLimit,
        ConflictCode::CartFull,
        ConflictCode::StockLimit,
        ConflictCode::OrderNotCreated,
        ConflictCode::WrongState,
        ConflictCode::OrderDispatched,
        ConflictCode::DeliveryExists,
    ];

    /// The name in replies and HTTP responses.
    pub fn name(self) -> &'static str {
        match self {
            ConflictCode::Other => "conflict",
            ConflictCode::OutOfStock => "out_of_stock",
            ConflictCode::IdExists => "id_exists",
            ConflictCode::CountLimit => "count_limit",
            ConflictCode::CartFull => "cart_full",
            ConflictCode::StockLimit => "stock_limit",
            ConflictCode::OrderNotCreated => "order_not_created",
            ConflictCode::WrongState => "wrong_state",
            ConflictCode::OrderDispatched => "order_dispatched",
            ConflictCode::DeliveryExists => "delivery_exists",
        }
    }

    /// The code with a name; [`ConflictCode::Other`] for a name that this release does not know.
    pub fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|code| code.name() == name).unwrap_or(ConflictCode::Other)
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

    /// The reason for programs.
    pub fn code(self) -> &'static str {
        match self {
            LineProblem::UnknownProduct => "unknown_product",
            LineProblem::StockHeld { .. } => "stock_held",
            LineProblem::OutOfStock { .. } => "out_of_stock",
            LineProblem::SaleExpired { .. } => "sale_expired",
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

    /// The reason for programs: that of the first line, but held stock only when nothing else is in the way.
    pub fn code(&self) -> &'static str {
        let is_held = |line: &&RejectedLine| matches!(line.problem, LineProblem::StockHeld { .. });
        let line = self.lines.iter().find(|line| !is_held(line)).or(self.lines.first());
        line.map_or(ConflictCode::Other.name(), |line| line.problem.code())
    }
}

impl Error {
    /// The error for one malformed field, as [`Invalid::new`].
    pub fn invalid(field: impl Into<Cow<'static, str>>, reason: impl Display) -> Self {
        Error::Invalid(Invalid::new(field, reason))
    }

    /// The error of a record whose state forbids the request.
    pub fn conflict(code: ConflictCode, detail: impl Into<String>) -> Self {
        Error::Conflict(Conflict { code, detail: detail.into() })
    }

    /// The explanation for people.
    pub fn detail(&self) -> Cow<'_, str> {
        match self {
            Error::Invalid(invalid) => invalid.to_string().into(),
            Error::NotFound(text)
            | Error::CardMissing(text)
            | Error::PaymentRefused(text)
            | Error::Conflict(Conflict { detail: text, .. })
            | Error::LinesRejected(RejectedLines { detail: text, .. })
            | Error::InFlight(text)
            | Error::PreconditionFailed(text)
            | Error::KeyReused(text)
            | Error::Exhausted(Exhausted { detail: text, .. })
            | Error::OutOfMemory(text)
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
            Error::CardMissing(_) | Error::PaymentRefused(_) | Error::NotFound(_) | Error::Conflict(_) => true,
            Error::LinesRejected(rejected) => !rejected.may_pass(),
            Error::Invalid(_)
            | Error::InFlight(_)
            | Error::PreconditionFailed(_)
            | Error::KeyReused(_)
            | Error::Exhausted(_)
            | Error::OutOfMemory(_)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_told_apart_by_their_names() {
        for code in ConflictCode::ALL {
            assert_eq!(ConflictCode::of_name(code.name()), code);
        }
        assert_eq!(ConflictCode::of_name(""), ConflictCode::Other);
    }

    #[test]
    fn held_stock_is_the_reason_only_when_nothing_else_is() {
        let code = |problems: &[LineProblem]| {
            let lines = problems.iter().map(|problem| RejectedLine { item: "a".into(), problem: *problem });
            RejectedLines::new(lines.collect()).code()
        };
        let (held, sold_out) = (LineProblem::StockHeld { available: 0 }, LineProblem::OutOfStock { available: 0 });
        assert_eq!(code(&[held, held]), "stock_held");
        assert_eq!(code(&[held, sold_out]), "out_of_stock");
        assert_eq!(code(&[LineProblem::UnknownProduct, sold_out]), "unknown_product");
        assert_eq!(code(&[]), "conflict");
    }
}
