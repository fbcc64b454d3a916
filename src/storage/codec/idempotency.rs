//! Stored replies to requests with an `Idempotency-Key`, as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{decode, encode, time};
use crate::domain::time::Timestamp;
use crate::error::Result;

#[derive(Encode, BorrowDecode)]
struct FirstAnswerV1<'a> {
    version: u64,
    expires_at: i64,
    fingerprint: &'a [u8],
    reply: &'a [u8],
}

/// The first answer to a request with an `Idempotency-Key`, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// The record's version.
    pub version: u64,
    /// The time after which it may be removed.
    pub expires_at: Timestamp,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// The reply, as the wire encodes it.
    pub reply: Vec<u8>,
}

/// Encodes a first answer.
pub fn encode_first_answer(answer: &FirstAnswer) -> Vec<u8> {
    encode(&FirstAnswerV1 {
        version: answer.version,
        expires_at: answer.expires_at.micros(),
        fingerprint: &answer.fingerprint,
        reply: &answer.reply,
    })
}

/// Decodes a first answer.
///
/// # Errors
/// [`crate::error::Error::Fault`] when the bytes are not one.
pub fn decode_first_answer(bytes: &[u8]) -> Result<FirstAnswer> {
    let decoded: FirstAnswerV1 = decode(bytes)?;
    Ok(FirstAnswer {
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
        let answer = FirstAnswer {
            version: 8,
            expires_at: Timestamp::from_micros(5).unwrap(),
            fingerprint: vec![1; 32],
            reply: vec![2; 300],
        };
        assert_eq!(decode_first_answer(&encode_first_answer(&answer)).unwrap(), answer);
    }
}
