//! Requests to and from protobuf, and their fingerprints.

use prost::Message;
use sha2::{Digest, Sha256};

use super::command::{Command, Idempotency, Request};
use super::limits::MAX_IDEMPOTENCY_KEY_BYTES;
use super::{proto, shop};
use crate::domain::cart::{MAX_COUNT, Offer};
use crate::domain::money::Money;
use crate::domain::tag::{Condition, Tag};
use crate::domain::time::Timestamp;
use crate::domain::value::MAX_VALUE_BYTES;
use crate::error::{Error, Result};
use crate::routing::{CustomerId, ItemId, KeyHash, KvKey};
use proto::request::Command as Commands;

const FINGERPRINT_BYTES: usize = 32;
/// The most tags in one condition.
pub const MAX_TAGS: usize = 64;

/// A request as it is sent.
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
        command: Some(encode_command(&request.command)),
    }
}

/// SHA-256 over a command: its kind, its ids and its parsed body, whatever the text they came in. Of a
/// card it covers the last four characters.
pub fn fingerprint(command: &Command) -> Vec<u8> {
    let mut encoded = encode_command(command);
    if let Commands::PlaceOrder(proto::PlaceOrder { card: Some(card), .. }) = &mut encoded {
        shop::mask(card);
    }
    let message = proto::Request { command: Some(encoded), ..proto::Request::default() };
    Sha256::digest(message.encode_to_vec()).to_vec()
}

fn encode_condition(condition: &Condition) -> proto::Condition {
    match condition {
        Condition::Any => proto::Condition { any: true, tags: Vec::new() },
        Condition::OneOf(tags) => proto::Condition {
            any: false,
            tags: tags.iter().map(|tag| proto::Tag { version: tag.version, expired: tag.expired }).collect(),
        },
    }
}

fn encode_command(command: &Command) -> Commands {
    let text = |id: &str| id.to_owned();
    match command {
        Command::Ping => Commands::Ping(proto::Ping {}),
        Command::GetCart { customer } => Commands::GetCart(proto::GetCart { customer: text(customer.as_str()) }),
        Command::AddLine { customer, item, offer, count } => Commands::AddLine(proto::AddLine {
            customer: text(customer.as_str()),
            item: text(item.as_str()),
            price: offer.price.hundredths(),
            count: *count,
            special_sale: offer.special_sale,
            sale_expiration: offer.sale_expiration.map(Timestamp::micros),
        }),
        Command::SetCount { customer, item, count } => Commands::SetCount(proto::SetCount {
            customer: text(customer.as_str()),
            item: text(item.as_str()),
            count: *count,
        }),
        Command::RemoveLine { customer, item } => {
            Commands::RemoveLine(proto::RemoveLine { customer: text(customer.as_str()), item: text(item.as_str()) })
        }
        Command::TakeCart { customer } => Commands::TakeCart(proto::TakeCart { customer: text(customer.as_str()) }),
        Command::GetValue { key } => Commands::GetValue(proto::GetValue { key: text(key.as_str()) }),
        Command::PutValue { key, text: value } => {
            Commands::PutValue(proto::PutValue { key: text(key.as_str()), value: value.clone() })
        }
        Command::DeleteValue { key } => Commands::DeleteValue(proto::DeleteValue { key: text(key.as_str()) }),
        other => shop::encode(other),
    }
}

/// A request as it was received; its id and deadline are the session's business.
///
/// # Errors
/// [`Error::Invalid`] when it breaks a limit or lacks something.
pub fn decode_request(message: proto::Request) -> Result<Request> {
    let command = message.command.ok_or_else(|| Error::Invalid("the request holds no known command".into()))?;
    Ok(Request {
        hash: KeyHash::from_bits(message.hash),
        command: decode_command(command)?,
        idempotency: message.idempotency.map(decode_idempotency).transpose()?,
        if_match: message.if_match.map(decode_condition).transpose()?,
    })
}

fn decode_idempotency(message: proto::Idempotency) -> Result<Idempotency> {
    let key_fits = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&message.key.len());
    if !key_fits || message.fingerprint.len() != FINGERPRINT_BYTES {
        return Err(Error::Invalid("idempotency: the key or its fingerprint has a wrong length".into()));
    }
    Ok(Idempotency { key: message.key, fingerprint: message.fingerprint })
}

fn decode_condition(message: proto::Condition) -> Result<Condition> {
    if message.any {
        return Ok(Condition::Any);
    }
    if message.tags.len() > MAX_TAGS {
        return Err(Error::Invalid(format!("if_match: more than {MAX_TAGS} tags")));
    }
    let tags = message.tags.into_iter().map(|tag| Tag { version: tag.version, expired: tag.expired });
    Ok(Condition::OneOf(tags.collect()))
}

fn decode_command(command: Commands) -> Result<Command> {
    Ok(match command {
        Commands::Ping(_) => Command::Ping,
        Commands::GetCart(m) => Command::GetCart { customer: CustomerId::new(m.customer)? },
        Commands::AddLine(m) if m.count == 0 || m.count > MAX_COUNT => {
            return Err(Error::Invalid(format!("itemCount: must be 1 to {MAX_COUNT}")));
        }
        Commands::SetCount(m) if m.count > MAX_COUNT => {
            return Err(Error::Invalid(format!("newCount: must be 0 to {MAX_COUNT}")));
        }
        Commands::PutValue(m) if m.value.len() > MAX_VALUE_BYTES => {
            return Err(Error::Invalid(format!("value: longer than {MAX_VALUE_BYTES} bytes")));
        }
        Commands::AddLine(m) => Command::AddLine {
            customer: CustomerId::new(m.customer)?,
            item: ItemId::new(m.item)?,
            offer: Offer {
                price: Money::from_hundredths(m.price)?,
                special_sale: m.special_sale,
                sale_expiration: m.sale_expiration.map(Timestamp::from_micros).transpose()?,
            },
            count: m.count,
        },
        Commands::SetCount(m) => {
            Command::SetCount { customer: CustomerId::new(m.customer)?, item: ItemId::new(m.item)?, count: m.count }
        }
        Commands::RemoveLine(m) => {
            Command::RemoveLine { customer: CustomerId::new(m.customer)?, item: ItemId::new(m.item)? }
        }
        Commands::TakeCart(m) => Command::TakeCart { customer: CustomerId::new(m.customer)? },
        Commands::GetValue(m) => Command::GetValue { key: KvKey::new(m.key)? },
        Commands::PutValue(m) => Command::PutValue { key: KvKey::new(m.key)?, text: m.value },
        Commands::DeleteValue(m) => Command::DeleteValue { key: KvKey::new(m.key)? },
        other => shop::decode(other)?,
    })
}
