//! Values of the key-value API.

use crate::error::{Invalid, Result};

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1_024;

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The record's version.
    pub version: u64,
    /// The stored text: UTF-8, at most [`MAX_VALUE_BYTES`].
    pub text: String,
}

/// Checks that the bytes of a value are UTF-8. The reader of the body checks their length, since that error has
/// another HTTP status.
///
/// # Errors
/// [`Invalid`] when they are not UTF-8.
pub fn check_text(bytes: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(bytes)
        .map_err(|error| Invalid::new("value", format!("not UTF-8 from byte {} on", error.valid_up_to())))
}
