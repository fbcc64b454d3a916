//! What identifies a record and where it lives: the routing hash, slots, kinds; identifiers that clients
//! choose, and those that a shard does.
//!
//! The hash decides which shard holds a record and nothing else. Identity is always the whole id:
//! a 63-bit hash collides by chance near 3 billion ids, and on purpose after 2^32 tries.

mod ids;
mod placed;

use sha1::{Digest, Sha1};

use crate::error::{Error, Result};

pub use ids::{CustomerId, ItemId, KvKey, ProductId};
pub use placed::{DeliveryId, OrderId};

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
        Self::of_bytes(id.as_bytes())
    }

    /// The hash of an id's bytes.
    pub fn of_bytes(id: &[u8]) -> Self {
        let digest = Sha1::digest(id);
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
    /// A product and its stock.
    Product = 2,
    /// An order that is final and settled.
    Order = 3,
    /// A delivery.
    Delivery = 4,
    /// A value of the key-value API.
    Kv = 5,
    /// The first answer to a request with an `Idempotency-Key`.
    Idempotency = 6,
    /// A product's stock that an order holds, on the product's shard.
    Reservation = 7,
    /// An order that is being worked on.
    OpenOrder = 8,
    /// What became of a reservation, kept so that a late command changes nothing.
    Settlement = 9,
}

impl Kind {
    /// Whether records of this kind are held in memory; the others are read from storage.
    pub fn is_resident(self) -> bool {
        !matches!(self, Kind::Order | Kind::Delivery | Kind::Idempotency | Kind::Settlement)
    }
}

impl TryFrom<u8> for Kind {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(Kind::Cart),
            2 => Ok(Kind::Product),
            3 => Ok(Kind::Order),
            4 => Ok(Kind::Delivery),
            5 => Ok(Kind::Kv),
            6 => Ok(Kind::Idempotency),
            7 => Ok(Kind::Reservation),
            8 => Ok(Kind::OpenOrder),
            9 => Ok(Kind::Settlement),
            other => Err(Error::Fault(format!("a record of the unknown kind {other}"))),
        }
    }
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
}
