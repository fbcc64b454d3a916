//! Stored replies to requests with an `Idempotency-Key`, as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{FORMAT_1, FORMAT_2, decode_body, encode_as, split, time, unknown_format};
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
    /// True for a customer's key, which counts in the customer's share. Releases that had no shares did not note it.
    pub is_customers: bool,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// The reply in the protocol's encoding; empty while there is none.
    pub reply: Vec<u8>,
}

/// Encodes a stored reply.
pub fn encode_idempotency(record: &IdempotencyRecord) -> Vec<u8> {
    let format = if record.is_customers { FORMAT_2 } else { FORMAT_1 };
    encode_as(
        format,
        &IdempotencyV1 {
            version: record.version,
            expires_at: record.expires_at.micros(),
            fingerprint: &record.fingerprint,
            reply: &record.reply,
        },
    )
}

/// Decodes a stored reply.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a stored reply.
pub fn decode_idempotency(bytes: &[u8]) -> Result<IdempotencyRecord> {
    let (is_customers, body) = match split(bytes)? {
        (FORMAT_1, body) => (false, body),
        (FORMAT_2, body) => (true, body),
        (format, _) => return Err(unknown_format(format)),
    };
    let decoded: IdempotencyV1 = decode_body(body)?;
    Ok(IdempotencyRecord {
        version: decoded.version,
        expires_at: time(decoded.expires_at)?,
        is_customers,
        fingerprint: decoded.fingerprint.to_vec(),
        reply: decoded.reply.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_reply_is_read_back() {
        for is_customers in [false, true] {
            let record = IdempotencyRecord {
                version: 8,
                expires_at: Timestamp::from_micros(5).unwrap(),
                is_customers,
                fingerprint: vec![1; 32],
                reply: vec![2; 300],
            };
            assert_eq!(decode_idempotency(&encode_idempotency(&record)).unwrap(), record);
        }
    }
}
