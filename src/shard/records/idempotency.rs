//! Stored replies: a request that is repeated under its idempotency key gets the reply of the first one.

use crate::domain::order::{Facts, IdempotencyRef};
use crate::domain::time::Timestamp;
use crate::error::{Error, Exhausted, Result};
use crate::protocol::{self, Owner, Request, WireReply};
use crate::routing::KeyHash;
use crate::shard::engine::{KeyScope, Transaction, end_of_life};
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

/// What a request's idempotency key belongs to.
pub fn scope(request: &Request) -> KeyScope {
    KeyScope { owner: request.hash, is_customer: matches!(request.command.owner(), Some(Owner::Customer(_))) }
}

/// What the idempotency key of an order belongs to: its customer or, without one, its product.
pub fn scope_of_order(order: &Facts) -> KeyScope {
    KeyScope { owner: order.home(), is_customer: order.customer.is_some() }
}

/// What the idempotency key of a cancellation belongs to: the order.
pub fn scope_of_cancellation(order: &Facts) -> KeyScope {
    KeyScope { owner: order.id.hash(), is_customer: false }
}

/// Refuses a new key while too many are live, or their replies take too many bytes.
///
/// # Errors
/// [`Error::Exhausted`].
pub fn check_capacity(txn: &mut Transaction<'_>, scope: KeyScope) -> Result<()> {
    let now = txn.steady_now();
    let Err(full) = txn.idempotency_room(scope, now) else { return Ok(()) };
    let whose = if full.is_customers { "of this customer" } else { "on this shard" };
    Err(Error::Exhausted(Exhausted {
        detail: format!(
            "too many idempotency keys {whose} are live, or their answers are too large; nothing was applied"
        ),
        retry_after: Some(full.retry_after),
    }))
}

/// Stores the reply under a key.
pub fn keep(txn: &mut Transaction<'_>, scope: KeyScope, reference: &IdempotencyRef, reply: &WireReply) {
    let stored_until = txn.stored_end_of_life();
    let bytes = put(txn, scope, reference, stored_until, protocol::encode_stored_reply(reply));
    let expires_at = end_of_life(txn.steady_now());
    txn.indexes_mut().idempotency.answer(scope, DigestId(reference.digest), expires_at, bytes);
}

/// Stores the reply under the key of an order that is not closed. The key lives as long as that: were it gone, a retry
/// would buy again.
pub fn keep_open(txn: &mut Transaction<'_>, scope: KeyScope, reference: &IdempotencyRef, reply: &WireReply) {
    // The close does not write the record again. With a second lifetime a start after it finds one that has not expired, if
    // the order was open for a day at most; a start lets it live for one lifetime from then.
    let stored_until = end_of_life(txn.stored_end_of_life());
    let bytes = put(txn, scope, reference, stored_until, protocol::encode_stored_reply(reply));
    txn.indexes_mut().idempotency.answer_open(scope, DigestId(reference.digest), bytes);
}

/// Begins the lifetime of a key whose order is closed.
pub fn close(txn: &mut Transaction<'_>, reference: &IdempotencyRef) {
    let expires_at = end_of_life(txn.steady_now());
    txn.indexes_mut().idempotency.close(DigestId(reference.digest), expires_at);
}

/// Notes that the request under a key has no reply yet. The key lives as long as that.
pub fn mark_in_flight(txn: &mut Transaction<'_>, scope: KeyScope, reference: &IdempotencyRef) {
    let stored_until = txn.stored_end_of_life();
    put(txn, scope, reference, stored_until, Vec::new());
    txn.indexes_mut().idempotency.begin(scope, DigestId(reference.digest));
}

/// Frees a key.
pub fn forget(txn: &mut Transaction<'_>, hash: KeyHash, reference: &IdempotencyRef) {
    txn.indexes_mut().idempotency.forget(DigestId(reference.digest));
    txn.delete(key(hash, &reference.digest));
}

/// Writes the record of a key, and returns its size in bytes.
fn put(
    txn: &mut Transaction<'_>,
    scope: KeyScope,
    reference: &IdempotencyRef,
    expires_at: Timestamp,
    reply: Vec<u8>,
) -> usize {
    let record = IdempotencyRecord {
        version: txn.next_version(),
        expires_at,
        is_customers: scope.is_customer,
        fingerprint: reference.fingerprint.clone(),
        reply,
    };
    let bytes = codec::encode_idempotency(&record);
    txn.put(key(scope.owner, &reference.digest), &bytes);
    bytes.len()
}

/// Removes keys that have expired.
pub fn sweep(txn: &mut Transaction<'_>) {
    let now = txn.steady_now();
    for _ in 0..MAX_SWEPT {
        let Some(expired) = txn.indexes_mut().idempotency.pop_expired(now) else { break };
        txn.delete(key(expired.hash, &expired.id.0));
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_shard::{begin, shard};
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_sweep_removes_a_part_of_very_many_expired_keys() {
        let (mut writer, id) = shard(1);
        let scope = KeyScope { owner: id.hash(), is_customer: false };
        let mut txn = begin(&mut writer);
        for number in 0..MAX_SWEPT as u64 + 5 {
            let key = DigestId::new(RecordKind::Product, b"x", &number.to_be_bytes());
            txn.indexes_mut().idempotency.answer(scope, key, Timestamp::default(), 1);
        }
        let now = Timestamp::from_micros(10_000_000).unwrap();
        for left in [5, 0] {
            sweep(&mut Transaction::begin(&mut writer, now));
            assert_eq!(writer.indexes().idempotency.count(), left);
        }
    }
}
