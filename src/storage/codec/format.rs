//! The frame of every value: one format byte, then the fields in bincode's standard configuration.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::routing::OrderId;

/// The longest encoded value that is read, in bytes: far above the largest cart (1,000 lines with
/// ids of 128 bytes take about 160 KB).
pub const MAX_ENCODED_BYTES: usize = 1 << 20;

pub(super) const FORMAT_1: u8 = 1;
/// The format of carts in checkout, and of the first answers of customers.
pub(super) const FORMAT_2: u8 = 2;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ENCODED_BYTES>> =
    bincode::config::standard().with_limit::<MAX_ENCODED_BYTES>();

/// Decodes the version, with which every format begins.
///
/// # Errors
/// [`Error::Internal`] when the bytes are not a record.
pub fn decode_version(bytes: &[u8]) -> Result<u64> {
    let (_, body) = split(bytes)?;
    let (version, _) = bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    Ok(version)
}

/// Decodes the time that follows the version.
pub(super) fn decode_changed_at(bytes: &[u8]) -> Result<Timestamp> {
    let (_, body) = split(bytes)?;
    let ((_, micros), _): ((u64, i64), usize) =
        bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    time(micros)
}

pub(super) fn encode(body: &impl Encode) -> Vec<u8> {
    encode_as(FORMAT_1, body)
}

pub(super) fn encode_as(format: u8, body: &impl Encode) -> Vec<u8> {
    // Room for most records: a cart of five lines takes about 170 bytes.
    let mut bytes = Vec::with_capacity(256);
    bytes.push(format);
    bincode::encode_into_std_write(body, &mut bytes, CONFIG)
        .expect("writing to memory cannot fail and no field is unencodable");
    bytes
}

/// Decodes a record of a kind that has one format only.
pub(super) fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T> {
    match split(bytes)? {
        (FORMAT_1, body) => decode_body(body),
        (format, _) => Err(unknown_format(format)),
    }
}

pub(super) fn decode_body<'a, T: BorrowDecode<'a, ()>>(body: &'a [u8]) -> Result<T> {
    let (decoded, used) =
        bincode::borrow_decode_from_slice(body, CONFIG).map_err(|error| corrupt(&error.to_string()))?;
    if used != body.len() {
        return Err(corrupt("bytes are left over"));
    }
    Ok(decoded)
}

/// Splits a value into its format and its body.
pub(super) fn split(bytes: &[u8]) -> Result<(u8, &[u8])> {
    match bytes {
        [format @ (FORMAT_1 | FORMAT_2), body @ ..] => Ok((*format, body)),
        [format, ..] => Err(unknown_format(*format)),
        [] => Err(corrupt("it is empty")),
    }
}

pub(super) fn unknown_format(format: u8) -> Error {
    corrupt(&format!("format {format} is not known to this release"))
}

pub(super) fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_micros(micros).map_err(|_| corrupt("a time"))
}

pub(super) fn money(hundredths: u64) -> Result<Money> {
    Money::from_hundredths(hundredths).map_err(|_| corrupt("a price"))
}

pub(super) fn order_id(bytes: [u8; 16]) -> Result<OrderId> {
    OrderId::from_bytes(bytes).ok_or_else(|| corrupt("an order's id"))
}

pub(super) fn corrupt(what: &str) -> Error {
    Error::Internal(format!("a stored record cannot be read: {what}"))
}
