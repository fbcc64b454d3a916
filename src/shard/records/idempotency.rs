//! Stored replies: a request that is repeated under its idempotency key gets the reply of the first one.

use crate::domain::order::IdempotencyRef;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::{self, Request, WireReply};
use crate::routing::KeyHash;
use crate::shard::engine::{Transaction, end_of_life};
use crate::storage::codec::{self, IdempotencyRecord};
use crate::storage::{DigestId, RecordKey, RecordKind};

/// The most expired records removed by one sweep.
const MAX_SWEPT: usize = 1_000;

fn key(hash: KeyHash, digest: &[u8; 16]) -> RecordKey<'_> {
    RecordKey { hash, kind: RecordKind::Idempotency, id: digest }
}

/// The stored form of a request's idempotency key, in the scope of the command's owner.
pub fn reference(request: &Request) -> Option<IdempotencyRef> {
    let idempotency = request.idempotency.as_ref()?;
    let owner = request.command.owner()?;
    let (kind, id) = owner.scope();
    let DigestId(digest) = DigestId::new(kind, id, idempotency.key.as_bytes());
    Some(IdempotencyRef { digest, fingerprint: idempotency.fingerprint.clone() })
}

/// The stored reply under a key, if there is one.
///
/// # Errors
/// [`Error::KeyReused`] when the key was used with another request, [`Error::InFlight`] while the first request
/// has no reply yet.
pub fn replay(txn: &mut Transaction<'_>, hash: KeyHash, asked: &IdempotencyRef) -> Result<Option<WireReply>> {
    if !txn.indexes().idempotency.contains(DigestId(asked.digest)) {
        return Ok(None);
    }
    let bytes = txn.read_stored(key(hash, &asked.digest))?;
    let bytes = bytes.ok_or_else(|| Error::Internal("the answer under the Idempotency-Key is missing".into()))?;
    let first = codec::decode_idempotency(&bytes)?;
    if first.fingerprint != asked.fingerprint {
        return Err(Error::KeyReused("Idempotency-Key: it was used before, with a different request".into()));
    }
    if first.reply.is_empty() {
        return Err(Error::InFlight("the request with this Idempotency-Key is being worked on".into()));
    }
    protocol::decode_stored_reply(&first.reply).map(Some)
}

/// Refuses a new key while too many are live.
///
/// # Errors
/// [`Error::Exhausted`].
pub fn check_capacity(txn: &Transaction<'_>) -> Result<()> {
    if txn.indexes().idempotency.is_full() {
        return Err(Error::Exhausted("too many idempotency keys are live on this shard; nothing was applied".into()));
    }
    Ok(())
}

/// Stores the reply under a key.
pub fn keep(txn: &mut Transaction<'_>, hash: KeyHash, reference: &IdempotencyRef, reply: &WireReply) {
    let expires_at = put(txn, hash, reference, protocol::encode_stored_reply(reply));
    txn.indexes_mut().idempotency.answer(hash, DigestId(reference.digest), expires_at);
}

/// Notes that the request under a key has no reply yet. The key lives as long as that.
pub fn mark_in_flight(txn: &mut Transaction<'_>, hash: KeyHash, reference: &IdempotencyRef) {
    put(txn, hash, reference, Vec::new());
    txn.indexes_mut().idempotency.begin(DigestId(reference.digest));
}

/// Frees a key.
pub fn forget(txn: &mut Transaction<'_>, hash: KeyHash, reference: &IdempotencyRef) {
    txn.indexes_mut().idempotency.forget(DigestId(reference.digest));
    txn.delete(key(hash, &reference.digest));
}

/// Writes the record of a key, and returns when it expires.
fn put(txn: &mut Transaction<'_>, hash: KeyHash, reference: &IdempotencyRef, reply: Vec<u8>) -> Timestamp {
    let record = IdempotencyRecord {
        version: txn.next_version(),
        expires_at: end_of_life(txn.now()),
        fingerprint: reference.fingerprint.clone(),
        reply,
    };
    txn.put(key(hash, &reference.digest), &codec::encode_idempotency(&record));
    record.expires_at
}

/// Removes keys that have expired.
pub fn sweep(txn: &mut Transaction<'_>) {
    let now = txn.now();
    for _ in 0..MAX_SWEPT {
        let Some(expired) = txn.indexes_mut().idempotency.pop_expired(now) else { break };
        txn.delete(key(expired.hash, &expired.id.0));
    }
}
