//! Identifiers that clients choose, as validated text.

use super::hash::KeyHash;
use crate::error::{Invalid, Result};

/// The longest identifier, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 128;
/// The longest key of the key-value API, in bytes.
pub const MAX_KV_KEY_BYTES: usize = 255;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Checks an identifier.
            ///
            /// # Errors
            /// [`Invalid`] that names the field.
            pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                $check(&text).map_err(|invalid: Invalid| invalid.at($field))?;
                Ok($name(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }

            /// The routing hash.
            pub fn hash(&self) -> KeyHash {
                KeyHash::of(&self.0)
            }
        }
    };
}

identifier!(
    /// A customer: 1 to 128 bytes of UTF-8 without control characters.
    CustomerId, "customerId", check_id
);
identifier!(
    /// An item in a cart: 1 to 128 bytes of UTF-8 without control characters.
    ItemId, "itemId", check_id
);
identifier!(
    /// A product: 1 to 128 bytes of UTF-8 without control characters. A book's id is its ISBN.
    ProductId, "id", check_id
);
identifier!(
    /// A key of the key-value API: 1 to 255 characters of `a-z A-Z 0-9`.
    KvKey, "key", check_kv_key
);

macro_rules! stored {
    ($($name:ident),*) => {$(
        impl $name {
            /// Restores an identifier from a record, unchecked.
            pub(crate) fn from_stored(text: &str) -> Self {
                $name(text.to_owned())
            }
        }
    )*};
}

stored!(CustomerId, ItemId, ProductId);

fn check_id(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > MAX_ID_BYTES {
        return Err(Invalid::general(format!("{} bytes, must be 1 to {MAX_ID_BYTES}", text.len())));
    }
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !plain && text.chars().any(char::is_control) {
        return Err(Invalid::general("control characters are not allowed"));
    }
    Ok(())
}

fn check_kv_key(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > MAX_KV_KEY_BYTES {
        return Err(Invalid::general(format!("{} bytes, must be 1 to {MAX_KV_KEY_BYTES}", text.len())));
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Invalid::general("only a-z, A-Z and 0-9 are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_bounded_in_bytes_and_hold_no_control_characters() {
        assert!(CustomerId::new("é".repeat(64)).is_ok());
        assert!(CustomerId::new("a/b c+d").is_ok());
        for text in ["", "a\0", "a\nb", "\u{85}", &"é".repeat(65), &"x".repeat(129)] {
            let error = CustomerId::new(text).unwrap_err();
            assert!(error.to_string().starts_with("customerId: "), "{error}");
        }
    }

    #[test]
    fn kv_keys_are_ascii_letters_and_digits() {
        assert!(KvKey::new("aZ9".repeat(85)).is_ok());
        for text in ["", "a-b", "é", "a b", &"x".repeat(256)] {
            assert!(KvKey::new(text).is_err(), "{text}");
        }
    }
}
