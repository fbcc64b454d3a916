//! Commands on a value of the key-value API.

use super::effect::Effect;
use super::proto;
use crate::domain::value::MAX_VALUE_BYTES;
use crate::error::{Error, Result};
use crate::routing::KvKey;
use proto::request::Command as Message;

/// A command on the value of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueCommand {
    /// Reads the value.
    Get,
    /// Stores a value.
    Put {
        /// The value.
        text: String,
    },
    /// Deletes the value.
    Delete,
}

impl ValueCommand {
    pub(super) fn effect(&self) -> Effect {
        match self {
            ValueCommand::Get => Effect::Read,
            ValueCommand::Put { .. } | ValueCommand::Delete => Effect::Once,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            ValueCommand::Get => "value.get",
            ValueCommand::Put { .. } => "value.put",
            ValueCommand::Delete => "value.delete",
        }
    }

    pub(super) fn encode(&self, key: &KvKey) -> Message {
        let key = key.as_str().to_owned();
        match self {
            ValueCommand::Get => Message::GetValue(proto::GetValue { key }),
            ValueCommand::Put { text } => Message::PutValue(proto::PutValue { key, value: text.clone() }),
            ValueCommand::Delete => Message::DeleteValue(proto::DeleteValue { key }),
        }
    }
}

pub(super) fn put(message: proto::PutValue) -> Result<(KvKey, ValueCommand)> {
    if message.value.len() > MAX_VALUE_BYTES {
        return Err(Error::invalid("value", format!("longer than {MAX_VALUE_BYTES} bytes")));
    }
    Ok((KvKey::new(message.key)?, ValueCommand::Put { text: message.value }))
}
