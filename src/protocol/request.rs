//! Requests, each a command with its conditions, and their protobuf messages; and the fingerprint that detects a
//! reused idempotency key.

use prost::Message as _;
use sha2::{Digest, Sha256};

use super::command::Command;
use super::effect::Effect;
use super::limits::MAX_IDEMPOTENCY_KEY_BYTES;
use super::{orders, proto};
use crate::domain::tag::{Condition, Tag};
use crate::error::{Error, Invalid, Result};
use crate::routing::KeyHash;
use proto::request::Command as Message;

const FINGERPRINT_BYTES: usize = 32;
/// The most tags in one condition.
pub const MAX_TAGS: usize = 64;

/// The idempotency key of a request: by sending it again, a client says that the request is a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value: 1 to [`MAX_IDEMPOTENCY_KEY_BYTES`] bytes.
    pub key: String,
    /// The [`fingerprint`] of the command: 32 bytes, different for a key that is reused for another command.
    pub fingerprint: Vec<u8>,
}

/// A command and the conditions under which it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The hash of the owner, which routes the request; 0 for a command that any shard can run.
    pub hash: KeyHash,
    /// The command.
    pub command: Command,
    /// The key under which it runs at most once.
    pub idempotency: Option<Idempotency>,
    /// The condition that the record must meet.
    pub if_match: Option<Condition>,
}

impl Request {
    /// Makes a request without conditions.
    pub fn new(command: Command) -> Self {
        let hash = command.owner().map_or(KeyHash::from_bits(0), |owner| owner.hash());
        Request { hash, command, idempotency: None, if_match: None }
    }

    /// True if sending it twice has the effect of sending it once.
    pub fn is_resendable(&self) -> bool {
        self.command.effect() != Effect::Once || self.idempotency.is_some()
    }

    /// True if it changes nothing.
    pub fn is_read(&self) -> bool {
        self.command.effect() == Effect::Read
    }
}

/// Encodes a request. The session sets its id and deadline.
pub fn encode_request(request: &Request) -> proto::Request {
    proto::Request {
        id: 0,
        hash: request.hash.bits(),
        deadline_ms: 0,
        idempotency: request.idempotency.as_ref().map(|idempotency| proto::Idempotency {
            key: idempotency.key.clone(),
            fingerprint: idempotency.fingerprint.clone(),
        }),
        if_match: request.if_match.as_ref().map(encode_condition),
        command: Some(request.command.encode()),
    }
}

/// Decodes a request, but not its id and deadline, which the session reads.
///
/// # Errors
/// [`Error::Invalid`] when a part is missing or past its limit.
pub fn decode_request(message: proto::Request) -> Result<Request> {
    let command =
        message.command.ok_or_else(|| Error::Invalid(Invalid::general("the request holds no known command")))?;
    let hash = KeyHash::from_bits(message.hash);
    let command = Command::decode(command)?;
    if !may_have_any_hash(&command) && command.owner().is_some_and(|owner| owner.hash() != hash) {
        return Err(Error::invalid("hash", "is not that of the command's owner"));
    }
    Ok(Request {
        hash,
        command,
        idempotency: message.idempotency.map(decode_idempotency).transpose()?,
        if_match: message.if_match.map(decode_condition).transpose()?,
    })
}

/// True for reads of carts, values and products, whose ids are not hashed again: that would cost each of them up to a
/// thousand instructions, and under a wrong hash they find nothing and change nothing. All else is checked: a record that
/// was written under another hash could not be found again and keeps its shard from starting, and of an order that it does
/// not know a shard says that it is refused, so that the stock that the order holds would be released.
fn may_have_any_hash(command: &Command) -> bool {
    let by_text = matches!(command, Command::Cart { .. } | Command::Value { .. } | Command::Product { .. });
    by_text && command.effect() == Effect::Read
}

/// SHA-256 over a command: its kind, its ids and its parsed body, so that white space and the order of members make
/// no difference. Of a card it covers only the last four characters.
pub fn fingerprint(command: &Command) -> Vec<u8> {
    let mut message = command.encode();
    if let Message::PlaceOrder(proto::PlaceOrder { card: Some(card), .. }) = &mut message {
        orders::mask(card);
    }
    let request = proto::Request { command: Some(message), ..proto::Request::default() };
    Sha256::digest(request.encode_to_vec()).to_vec()
}

fn decode_idempotency(message: proto::Idempotency) -> Result<Idempotency> {
    let key_fits = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&message.key.len());
    if !key_fits || message.fingerprint.len() != FINGERPRINT_BYTES {
        return Err(Error::invalid("idempotency", "the key or its fingerprint has a wrong length"));
    }
    Ok(Idempotency { key: message.key, fingerprint: message.fingerprint })
}

fn encode_condition(condition: &Condition) -> proto::Condition {
    match condition {
        Condition::Any => proto::Condition { any: true, ..proto::Condition::default() },
        Condition::Absent => proto::Condition { absent: true, ..proto::Condition::default() },
        Condition::OneOf(tags) => proto::Condition {
            tags: tags.iter().map(|tag| proto::Tag { version: tag.version, expired: tag.expired }).collect(),
            ..proto::Condition::default()
        },
    }
}

fn decode_condition(message: proto::Condition) -> Result<Condition> {
    if message.any {
        return Ok(Condition::Any);
    }
    if message.absent {
        return Ok(Condition::Absent);
    }
    if message.tags.len() > MAX_TAGS {
        return Err(Error::invalid("if_match", format!("more than {MAX_TAGS} tags")));
    }
    let tags = message.tags.into_iter().map(|tag| Tag { version: tag.version, expired: tag.expired });
    Ok(Condition::OneOf(tags.collect()))
}
