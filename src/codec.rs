//! Values as byte arrays: one format byte, then bincode's standard configuration.
//!
//! A new field means a new format byte; a reader knows every older one. bincode 2.0.1 is no longer
//! maintained (RUSTSEC-2025-0141); its format is fixed and its use ends in this file.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use crate::domain::cart::{Cart, Line, MAX_COUNT, MAX_LINES, Offer};
use crate::domain::kv::Value;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::key::ItemId;

/// The longest encoded value that is read, in bytes: far above the largest cart (1,000 lines with
/// ids of 128 bytes take about 160 KB).
pub const MAX_ENCODED_BYTES: usize = 1 << 20;

const FORMAT_1: u8 = 1;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ENCODED_BYTES>> =
    bincode::config::standard().with_limit::<MAX_ENCODED_BYTES>();

#[derive(Encode, BorrowDecode)]
struct CartV1<'a> {
    version: u64,
    updated_at: i64,
    lines: Vec<LineV1<'a>>,
}

#[derive(Encode, BorrowDecode)]
struct LineV1<'a> {
    item: &'a str,
    price: u64,
    count: u32,
    special_sale: bool,
    sale_expiration: Option<i64>,
}

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

/// Encodes a cart.
pub fn encode_cart(cart: &Cart) -> Vec<u8> {
    let lines = cart.lines.iter().map(|line| LineV1 {
        item: line.item.as_str(),
        price: line.offer.price.hundredths(),
        count: line.count,
        special_sale: line.offer.special_sale,
        sale_expiration: line.offer.sale_expiration.map(Timestamp::micros),
    });
    encode(&CartV1 {
        version: cart.version,
        updated_at: cart.updated_at.unwrap_or_default().micros(),
        lines: lines.collect(),
    })
}

/// Decodes a cart.
///
/// # Errors
/// [`Error::Fault`] when the bytes are not a cart.
pub fn decode_cart(bytes: &[u8]) -> Result<Cart> {
    let decoded: CartV1 = decode(bytes)?;
    if decoded.lines.len() > MAX_LINES {
        return Err(corrupt("a cart has too many lines"));
    }
    Ok(Cart {
        version: decoded.version,
        updated_at: Some(Timestamp::from_micros(decoded.updated_at).map_err(|_| corrupt("a cart's time"))?),
        lines: decoded.lines.into_iter().map(decode_line).collect::<Result<_>>()?,
    })
}

fn decode_line(line: LineV1<'_>) -> Result<Line> {
    let expiration = line.sale_expiration.map(Timestamp::from_micros).transpose();
    if line.count == 0 || line.count > MAX_COUNT {
        return Err(corrupt("a line's count"));
    }
    Ok(Line {
        item: ItemId::from_stored(line.item),
        offer: Offer {
            price: Money::from_hundredths(line.price).map_err(|_| corrupt("a line's price"))?,
            special_sale: line.special_sale,
            sale_expiration: expiration.map_err(|_| corrupt("a line's expiration"))?,
        },
        count: line.count,
    })
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
        expires_at: Timestamp::from_micros(decoded.expires_at).map_err(|_| corrupt("an answer's expiration"))?,
        fingerprint: decoded.fingerprint.to_vec(),
        reply: decoded.reply.to_vec(),
    })
}

/// The version of any record, which every format begins with.
///
/// # Errors
/// [`Error::Fault`] when the bytes are not a record.
pub fn decode_version(bytes: &[u8]) -> Result<u64> {
    let body = body(bytes)?;
    let (version, _) = bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    Ok(version)
}

fn encode(body: &impl Encode) -> Vec<u8> {
    // Most records are small; a cart of five lines takes about 170 bytes.
    let mut bytes = Vec::with_capacity(256);
    bytes.push(FORMAT_1);
    bincode::encode_into_std_write(body, &mut bytes, CONFIG)
        .expect("writing to memory cannot fail and no field is unencodable");
    bytes
}

fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T> {
    let body = body(bytes)?;
    let (decoded, used) =
        bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    if used != body.len() {
        return Err(corrupt("bytes are left over"));
    }
    Ok(decoded)
}

fn body(bytes: &[u8]) -> Result<&[u8]> {
    match bytes {
        [FORMAT_1, body @ ..] => Ok(body),
        [format, ..] => Err(corrupt(&format!("format {format} is not known to this release"))),
        [] => Err(corrupt("it is empty")),
    }
}

fn corrupt(what: &str) -> Error {
    Error::Fault(format!("a stored record cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cart() -> Cart {
        let line = |item: &str, price, expires: Option<i64>| Line {
            item: ItemId::new(item).unwrap(),
            offer: Offer {
                price: Money::from_hundredths(price).unwrap(),
                special_sale: expires.is_some(),
                sale_expiration: expires.map(|micros| Timestamp::from_micros(micros).unwrap()),
            },
            count: 3,
        };
        Cart {
            version: 300,
            updated_at: Some(Timestamp::from_micros(1_763_900_000_000_000).unwrap()),
            lines: vec![line("apple", 1210, None), line("Zoë", 999_999_999_999, Some(-1))],
        }
    }

    /// Bytes that the first release wrote: every later one must read them.
    #[rustfmt::skip]
    const CART_FORMAT_1: &[u8] = &[
        1, // the format
        251, 44, 1, // version 300
        253, 0, 176, 214, 241, 131, 136, 12, 0, // the time
        2, // lines
        5, 97, 112, 112, 108, 101, 251, 186, 4, 3, 0, 0,
        4, 90, 111, 195, 171, 253, 255, 15, 165, 212, 232, 0, 0, 0, 3, 1, 1, 1,
    ];

    #[test]
    fn a_cart_of_the_first_format_is_read_and_written_for_ever() {
        assert_eq!(encode_cart(&cart()), CART_FORMAT_1);
        assert_eq!(decode_cart(CART_FORMAT_1).unwrap(), cart());
        assert_eq!(decode_version(CART_FORMAT_1).unwrap(), 300);
    }

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
                *first = FORMAT_1;
            }
            let _ = decode_cart(&bytes);
            let _ = decode_value(&bytes);
            let _ = decode_first_answer(&bytes);
            let _ = decode_version(&bytes);
        }

        #[test]
        fn no_damage_to_a_cart_makes_it_panic(at in 0..60usize, byte: u8) {
            let mut bytes = encode_cart(&cart());
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode_cart(&bytes);
        }
    }
}
