//! Values of the key-value API, and the commands on them.

use bytes::Bytes;

use crate::domain::tag::{Condition, Tag};
use crate::error::{Error, Result};
use crate::protocol::{CommandOutput, Request, ValueCommand};
use crate::routing::KvKey;
use crate::shard::engine::Transaction;
use crate::storage::codec;
use crate::storage::{RecordKey, RecordKind};

fn record_key<'a>(request: &Request, key: &'a KvKey) -> RecordKey<'a> {
    RecordKey { hash: request.hash, kind: RecordKind::Kv, id: key.as_str().as_bytes() }
}

fn no_such_key() -> Error {
    Error::NotFound("there is no such key".into())
}

/// Executes a command on a value.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::PreconditionFailed`].
pub fn execute(
    txn: &mut Transaction<'_>,
    request: &Request,
    key: &KvKey,
    command: &ValueCommand,
) -> Result<CommandOutput> {
    match command {
        ValueCommand::Get => get(txn, request, key),
        ValueCommand::Put { text } => put(txn, request, key, text),
        ValueCommand::Delete => delete(txn, request, key),
    }
}

/// Reads a value.
fn get(txn: &mut Transaction<'_>, request: &Request, key: &KvKey) -> Result<CommandOutput> {
    let record = txn.read(record_key(request, key)).ok_or_else(no_such_key)?;
    Ok(CommandOutput::value(Bytes::copy_from_slice(record)))
}

/// Reads the version of a value and checks the request's condition.
fn checked_version(txn: &mut Transaction<'_>, request: &Request, key: &KvKey) -> Result<Option<u64>> {
    let record = txn.read(record_key(request, key));
    let version = record.map(codec::decode_version).transpose()?;
    Condition::check(request.if_match.as_ref(), version.map(Tag::of_version))?;
    Ok(version)
}

/// Stores a value.
fn put(txn: &mut Transaction<'_>, request: &Request, key: &KvKey, text: &str) -> Result<CommandOutput> {
    let before = checked_version(txn, request, key)?;
    let version = txn.next_version();
    txn.put(record_key(request, key), &codec::encode_value(version, text));
    Ok(CommandOutput::written(version).with_created(before.is_none()))
}

/// Removes a value.
fn delete(txn: &mut Transaction<'_>, request: &Request, key: &KvKey) -> Result<CommandOutput> {
    let version = checked_version(txn, request, key)?.ok_or_else(no_such_key)?;
    txn.delete(record_key(request, key));
    Ok(CommandOutput::written(version))
}
