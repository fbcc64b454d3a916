//! The protobuf messages between facade and shard, and the only conversions to and from them.

mod reply;
mod shop;

use prost::Message;
use sha2::{Digest, Sha256};

use crate::domain::cart::{MAX_COUNT, Offer};
use crate::domain::command::{Command, Idempotency, Request};
use crate::domain::kv::MAX_VALUE_BYTES;
use crate::domain::money::Money;
use crate::domain::tag::{Condition, Tag};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::key::{CustomerId, ItemId, KeyHash, KvKey, MAX_IDEMPOTENCY_KEY_BYTES};
use proto::request::Command as Commands;

pub use reply::{Outcomes, cart_outcome, decode_reply, failure};
pub use shop::{MAX_LIST, encode_holding, encode_ruling};

/// The generated types.
#[allow(missing_docs, clippy::doc_markdown)]
pub mod proto {
    tonic::include_proto!("shardcart.v1");

    /// The compiled description of the service, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shard.descriptors"));
}

/// The most commands or replies in one message.
pub const MAX_BATCH: usize = 256;
/// A message is cut after the reply that brings it past this many bytes.
pub const MAX_REPLY_BATCH_BYTES: usize = 256 << 10;
/// The longest message that is read, in bytes: [`MAX_REPLY_BATCH_BYTES`] and one largest cart fit.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

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

/// The same errors as gRPC status codes, for the calls that are not part of a session.
pub fn status_of(error: &Error) -> tonic::Status {
    let code = match error {
        Error::Invalid(_) => tonic::Code::InvalidArgument,
        Error::NotFound(_) => tonic::Code::NotFound,
        Error::PaymentRefused(_)
        | Error::Refused(_)
        | Error::LinesAtFault(_)
        | Error::InFlight(_)
        | Error::Precondition(_)
        | Error::KeyReused(_)
        | Error::WrongSlot(_) => tonic::Code::FailedPrecondition,
        Error::Exhausted(_) => tonic::Code::ResourceExhausted,
        Error::Unavailable(_) => tonic::Code::Unavailable,
        Error::Indeterminate(_) => tonic::Code::DeadlineExceeded,
        Error::Fault(_) => tonic::Code::Internal,
    };
    tonic::Status::new(code, error.detail())
}
