//! The key under which a store applies a write once, however often it is sent.

use std::fmt;
use std::str::FromStr;

use reqwest::header::HeaderValue;
use uuid::Uuid;

use crate::error::{Error, Invalid, Result};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// An idempotency key: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(HeaderValue);

impl IdempotencyKey {
    /// A key that nobody has used.
    pub fn random() -> Self {
        let text = Uuid::new_v4().to_string();
        IdempotencyKey(HeaderValue::try_from(text).expect("a UUID has letters, digits and hyphens only"))
    }

    /// The value of the header.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("the characters were checked when it was made")
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IdempotencyKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        match HeaderValue::from_str(text) {
            Ok(value) if is_printable && (1..=MAX_KEY_BYTES).contains(&text.len()) => Ok(IdempotencyKey(value)),
            _ => Err(Invalid::general(format!("must be 1 to {MAX_KEY_BYTES} printable ASCII characters")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_and_not_too_long() {
        assert_eq!("order 7".parse::<IdempotencyKey>().unwrap().as_str(), "order 7");
        assert_ne!(IdempotencyKey::random(), IdempotencyKey::random());
        for text in ["", "a\nb", "é", &"k".repeat(MAX_KEY_BYTES + 1)] {
            assert!(text.parse::<IdempotencyKey>().is_err(), "{text:?}");
        }
    }
}
