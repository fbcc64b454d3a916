//! Values as byte arrays: one format byte, then bincode's standard configuration.
//!
//! A new field means a new format byte; a reader knows every older one. bincode 2.0.1 is no longer
//! maintained (RUSTSEC-2025-0141); its format is fixed and its use ends in this folder.

mod cart;
mod delivery;
mod order;
mod product;
mod reservation;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use crate::domain::kv::Value;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::key::OrderId;

pub use cart::{decode_cart, decode_pin, encode_cart};
pub use delivery::{decode_delivery, encode_delivery};
pub use order::{decode_order, encode_order};
pub use product::{decode_product, encode_product};
pub use reservation::{Settlement, decode_reservation, decode_settlement, encode_reservation, encode_settlement};

/// The longest encoded value that is read, in bytes: far above the largest cart (1,000 lines with
/// ids of 128 bytes take about 160 KB).
pub const MAX_ENCODED_BYTES: usize = 1 << 20;

const FORMAT_1: u8 = 1;
/// Of carts: pinned ones.
const FORMAT_2: u8 = 2;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ENCODED_BYTES>> =
    bincode::config::standard().with_limit::<MAX_ENCODED_BYTES>();

#[derive(Encode, BorrowDecode)]
struct ValueV1<'a> {
    version: u64,
    text: &'a str,
}

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
    /// When it may be forgotten.
    pub expires_at: Timestamp,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// The reply, as the wire encodes it.
    pub reply: Vec<u8>,
}

/// Encodes a value of the key-value API.
pub fn encode_value(version: u64, text: &str) -> Vec<u8> {
    encode(&ValueV1 { version, text })
}

/// Decodes a value of the key-value API.
///
/// # Errors
/// [`Error::Fault`] when the bytes are not one.
pub fn decode_value(bytes: &[u8]) -> Result<Value> {
    let decoded: ValueV1 = decode(bytes)?;
    Ok(Value { version: decoded.version, text: decoded.text.to_owned() })
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
/// [`Error::Fault`] when the bytes are not one.
pub fn decode_first_answer(bytes: &[u8]) -> Result<FirstAnswer> {
    let decoded: FirstAnswerV1 = decode(bytes)?;
    Ok(FirstAnswer {
        version: decoded.version,
        expires_at: time(decoded.expires_at)?,
        fingerprint: decoded.fingerprint.to_vec(),
        reply: decoded.reply.to_vec(),
    })
}

/// The version of any record, which every format begins with.
///
/// # Errors
/// [`Error::Fault`] when the bytes are not a record.
pub fn decode_version(bytes: &[u8]) -> Result<u64> {
    let (_, body) = split(bytes)?;
    let (version, _) = bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    Ok(version)
}

fn encode(body: &impl Encode) -> Vec<u8> {
    encode_as(FORMAT_1, body)
}

fn encode_as(format: u8, body: &impl Encode) -> Vec<u8> {
    // Most records are small; a cart of five lines takes about 170 bytes.
    let mut bytes = Vec::with_capacity(256);
    bytes.push(format);
    bincode::encode_into_std_write(body, &mut bytes, CONFIG)
        .expect("writing to memory cannot fail and no field is unencodable");
    bytes
}

/// Decodes what knows one format only.
fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T> {
    match split(bytes)? {
        (FORMAT_1, body) => decode_body(body),
        (format, _) => Err(unknown_format(format)),
    }
}

fn decode_body<'a, T: BorrowDecode<'a, ()>>(body: &'a [u8]) -> Result<T> {
    let (decoded, used) =
        bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    if used != body.len() {
        return Err(corrupt("bytes are left over"));
    }
    Ok(decoded)
}

/// The format and what follows it.
fn split(bytes: &[u8]) -> Result<(u8, &[u8])> {
    match bytes {
        [format @ (FORMAT_1 | FORMAT_2), body @ ..] => Ok((*format, body)),
        [format, ..] => Err(unknown_format(*format)),
        [] => Err(corrupt("it is empty")),
    }
}

fn unknown_format(format: u8) -> Error {
    corrupt(&format!("format {format} is not known to this release"))
}

fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_micros(micros).map_err(|_| corrupt("a time"))
}

fn money(hundredths: u64) -> Result<Money> {
    Money::from_hundredths(hundredths).map_err(|_| corrupt("a price"))
}

fn order_id(bytes: [u8; 16]) -> Result<OrderId> {
    OrderId::from_bytes(bytes).ok_or_else(|| corrupt("an order's id"))
}

fn corrupt(what: &str) -> Error {
    Error::Fault(format!("a stored record cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_and_first_answers_are_read_back() {
        let value = Value { version: 7, text: "héllo".into() };
        assert_eq!(decode_value(&encode_value(7, "héllo")).unwrap(), value);
        let answer = FirstAnswer {
            version: 8,
            expires_at: Timestamp::from_micros(5).unwrap(),
            fingerprint: vec![1; 32],
            reply: vec![2; 300],
        };
        assert_eq!(decode_first_answer(&encode_first_answer(&answer)).unwrap(), answer);
    }

    #[test]
    fn a_format_of_a_later_release_is_named() {
        let error = decode_cart(&[9, 0]).unwrap_err();
        assert!(error.detail().contains("format 9"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), valid_format: bool) {
            if let (true, Some(first)) = (valid_format, bytes.first_mut()) {
                *first = if *first % 2 == 0 { FORMAT_1 } else { FORMAT_2 };
            }
            let _ = decode_cart(&bytes);
            let _ = decode_product(&bytes);
            let _ = decode_order(&bytes);
            let _ = decode_delivery(&bytes);
            let _ = decode_reservation(&bytes);
            let _ = decode_settlement(&bytes);
            let _ = decode_value(&bytes);
            let _ = decode_first_answer(&bytes);
            let _ = decode_version(&bytes);
        }
    }
}
