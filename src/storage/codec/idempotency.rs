//! Stored replies to requests with an `Idempotency-Key`, as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{decode, encode, time};
use crate::domain::time::Timestamp;
use crate::error::Result;

#[derive(Encode, BorrowDecode)]
struct IdempotencyV1<'a> {
    version: u64,
    expires_at: i64,
    fingerprint: &'a [u8],
    reply: &'a [u8],
}

/// The stored reply to a request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The record's version.
    pub version: u64,
    /// The time after which it may be removed.
    pub expires_at: Timestamp,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// The reply in the protocol's encoding; empty while there is none.
    pub reply: Vec<u8>,
}

/// Encodes a stored reply.
pub fn encode_idempotency(record: &IdempotencyRecord) -> Vec<u8> {
    encode(&IdempotencyV1 {
        version: record.version,
        expires_at: record.expires_at.micros(),
        fingerprint: &record.fingerprint,
        reply: &record.reply,
    })
}

/// Decodes a stored reply.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a stored reply.
pub fn decode_idempotency(bytes: &[u8]) -> Result<IdempotencyRecord> {
    let decoded: IdempotencyV1 = decode(bytes)?;
    Ok(IdempotencyRecord {
        version: decoded.version,
        expires_at: time(decoded.expires_at)?,
        fingerprint: decoded.fingerprint.to_vec(),
        reply: decoded.reply.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_reply_is_read_back() {
        let record = IdempotencyRecord {
            version: 8,
            expires_at: Timestamp::from_micros(5).unwrap(),
            fingerprint: vec![1; 32],
            reply: vec![2; 300],
        };
        assert_eq!(decode_idempotency(&encode_idempotency(&record)).unwrap(), record);
    }
}
