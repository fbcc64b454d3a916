//! What identifies a record and where it lives: validated identifiers, the routing hash, slots.
//!
//! The hash decides which shard holds a record and nothing else. Identity is always the whole id:
//! a 63-bit hash collides by chance near 3 billion ids, and on purpose after 2^32 tries.

use sha1::{Digest, Sha1};

use crate::error::{Error, Result};

/// The longest identifier, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 128;
/// The longest key of the key-value API, in bytes.
pub const MAX_KV_KEY_BYTES: usize = 255;
/// The longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// How many slots the hashes are divided into, each a contiguous range.
pub const SLOTS: u16 = 1 << 14;

const HASH_BITS: u32 = 63;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();

/// SHA-1 (FIPS 180-4) of an id's UTF-8 bytes, read as one big-endian integer, modulo 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(u64);

impl KeyHash {
    /// The hash of an id.
    pub fn of(id: &str) -> Self {
        let digest = Sha1::digest(id.as_bytes());
        let mut low = [0; 8];
        low.copy_from_slice(&digest[12..20]);
        Self::from_bits(u64::from_be_bytes(low))
    }

    /// A hash that came over the wire or from disk; bits past the 63rd are dropped.
    pub fn from_bits(bits: u64) -> Self {
        KeyHash(bits & (u64::MAX >> (64 - HASH_BITS)))
    }

    /// The number itself, below 2^63.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The slot that the hash falls into.
    pub fn slot(self) -> Slot {
        Slot((self.0 >> (HASH_BITS - SLOT_BITS)) as u16)
    }

    /// The hash for an in-memory table: its low bits choose the bucket and its top seven tell
    /// entries of one bucket apart. On one shard the routing hash's own top bits are all alike, so
    /// lower ones are mixed in.
    pub fn table_hash(self) -> u64 {
        self.0 ^ (self.0 << 32)
    }
}

/// One of the [`SLOTS`] ranges of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A customer's cart.
    Cart = 1,
    /// A value of the key-value API.
    Kv = 5,
    /// The first answer to a request with an `Idempotency-Key`.
    Idempotency = 6,
}

impl Kind {
    /// Whether records of this kind are held in memory; the others are read from storage.
    pub fn is_resident(self) -> bool {
        !matches!(self, Kind::Idempotency)
    }
}

impl TryFrom<u8> for Kind {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(Kind::Cart),
            5 => Ok(Kind::Kv),
            6 => Ok(Kind::Idempotency),
            other => Err(Error::Fault(format!("a record of the unknown kind {other}"))),
        }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes an identifier.
            ///
            /// # Errors
            /// [`Error::Invalid`] that names the field.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                $check($field, &text)?;
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

            /// Where it is routed to.
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
    /// A key of the key-value API: 1 to 255 of `a-z A-Z 0-9`.
    KvKey, "key", check_kv_key
);

impl ItemId {
    /// Takes an identifier that was checked before it was stored.
    pub(crate) fn from_stored(text: &str) -> Self {
        ItemId(text.to_owned())
    }
}

fn check_id(field: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_ID_BYTES {
        return Err(Error::Invalid(format!("{field}: {} bytes, must be 1 to {MAX_ID_BYTES}", text.len())));
    }
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !plain && text.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("{field}: control characters are not allowed")));
    }
    Ok(())
}

fn check_kv_key(field: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_KV_KEY_BYTES {
        return Err(Error::Invalid(format!("{field}: {} bytes, must be 1 to {MAX_KV_KEY_BYTES}", text.len())));
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::Invalid(format!("{field}: only a-z, A-Z and 0-9 are allowed")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python: `int.from_bytes(hashlib.sha1(id.encode()).digest(), "big") % 2**63`.
    #[test]
    fn hashes_match_answers_computed_elsewhere() {
        for (id, bits) in [
            ("alice".to_owned(), 2_507_735_202_267_974_120),
            ("customer-42".to_owned(), 3_243_733_773_787_257_665),
            ("Zoë".to_owned(), 6_814_482_582_172_141_067),
            ("顧客-七".to_owned(), 3_969_421_910_316_136_357),
            ("🛒".repeat(32), 7_089_477_141_632_779_037),
            ("x".repeat(128), 3_891_813_036_647_069_538),
            ("a/b".to_owned(), 8_274_490_281_263_140_731),
            (" ".to_owned(), 6_669_414_134_804_187_590),
        ] {
            assert_eq!(KeyHash::of(&id).bits(), bits, "{id}");
        }
    }

    #[test]
    fn slots_are_contiguous_ranges_of_hashes() {
        assert_eq!(KeyHash::from_bits(0).slot(), Slot(0));
        assert_eq!(KeyHash::from_bits((1 << 49) - 1).slot(), Slot(0));
        assert_eq!(KeyHash::from_bits(1 << 49).slot(), Slot(1));
        assert_eq!(KeyHash::from_bits(u64::MAX).slot(), Slot(SLOTS - 1));
    }

    #[test]
    fn identifiers_are_bounded_in_bytes_and_hold_no_control_characters() {
        assert!(CustomerId::new("é".repeat(64)).is_ok());
        assert!(CustomerId::new("a/b c+d").is_ok());
        for text in ["", "a\0", "a\nb", "\u{85}", &"é".repeat(65), &"x".repeat(129)] {
            let error = CustomerId::new(text).unwrap_err();
            assert!(error.detail().starts_with("customerId: "), "{error}");
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
