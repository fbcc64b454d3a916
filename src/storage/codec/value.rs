//! Values of the key-value API as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{decode, encode};
use crate::domain::value::Value;
use crate::error::Result;

#[derive(Encode, BorrowDecode)]
struct ValueV1<'a> {
    version: u64,
    text: &'a str,
}

/// Encodes a value of the key-value API.
pub fn encode_value(version: u64, text: &str) -> Vec<u8> {
    encode(&ValueV1 { version, text })
}

/// Decodes a value of the key-value API.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a value.
pub fn decode_value(bytes: &[u8]) -> Result<Value> {
    let decoded: ValueV1 = decode(bytes)?;
    Ok(Value { version: decoded.version, text: decoded.text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back() {
        let value = Value { version: 7, text: "héllo".into() };
        assert_eq!(decode_value(&encode_value(7, "héllo")).unwrap(), value);
    }
}
