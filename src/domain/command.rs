//! What may be asked of a shard, and what it answers.

use super::cart::{Cart, Offer};
use super::kv::Value;
use super::tag::Condition;
use super::time::Timestamp;
use crate::error::{Error, Result};
use crate::key::{CustomerId, ItemId, KeyHash, KvKey};

/// One operation on the records of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Does nothing: whether the shard answers.
    Ping,
    /// The customer's cart.
    GetCart { customer: CustomerId },
    /// Puts an item in, or adds to its count.
    AddLine { customer: CustomerId, item: ItemId, offer: Offer, count: u32 },
    /// Sets a line's count; 0 removes the line.
    SetCount { customer: CustomerId, item: ItemId, count: u32 },
    /// Removes a line.
    RemoveLine { customer: CustomerId, item: ItemId },
    /// Empties the cart and answers with what it held.
    TakeCart { customer: CustomerId },
    /// A value.
    GetValue { key: KvKey },
    /// Stores a value.
    PutValue { key: KvKey, text: String },
    /// Removes a value.
    DeleteValue { key: KvKey },
}

impl Command {
    /// Whether it changes nothing, so that it may be sent twice.
    pub fn is_read(&self) -> bool {
        matches!(self, Command::Ping | Command::GetCart { .. } | Command::GetValue { .. })
    }

    /// The id whose shard it goes to; empty for [`Command::Ping`], which goes to any.
    pub fn owner(&self) -> &str {
        match self {
            Command::Ping => "",
            Command::GetCart { customer }
            | Command::AddLine { customer, .. }
            | Command::SetCount { customer, .. }
            | Command::RemoveLine { customer, .. }
            | Command::TakeCart { customer } => customer.as_str(),
            Command::GetValue { key } | Command::PutValue { key, .. } | Command::DeleteValue { key } => key.as_str(),
        }
    }
}

/// A client's promise that requests with this key are one and the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value.
    pub key: String,
    /// SHA-256 over what was asked, to notice when it was something else.
    pub fingerprint: Vec<u8>,
}

/// A command and under which terms it is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it is routed to.
    pub hash: KeyHash,
    /// What to do.
    pub command: Command,
    /// At most once under this key.
    pub idempotency: Option<Idempotency>,
    /// Only in this state.
    pub if_match: Option<Condition>,
}

impl Request {
    /// A command without terms.
    pub fn new(command: Command) -> Self {
        Request { hash: KeyHash::of(command.owner()), command, idempotency: None, if_match: None }
    }

    /// Whether sending it twice applies it once.
    pub fn is_resendable(&self) -> bool {
        self.command.is_read() || self.idempotency.is_some()
    }
}

/// An answer or an error, and whether it is a first answer given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Given before, to the same `Idempotency-Key`.
    pub replayed: bool,
    /// What came of the command.
    pub result: Result<Answer>,
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Reply { replayed: false, result: Err(error) }
    }
}

/// What a command that succeeded answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When it was computed: what depends on the time is seen from there.
    pub at: Timestamp,
    /// Whether something was made that was not there.
    pub created: bool,
    /// The result.
    pub outcome: Outcome,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; the version of what was written.
    Done { version: u64 },
    /// The cart after the command, or, where it was taken, before it.
    Cart(Cart),
    /// The value.
    Value(Value),
}
