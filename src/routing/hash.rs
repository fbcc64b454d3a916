//! The routing hash of an id, and the slots that the hashes are divided into.

use std::ops::Range;

use sha1::{Digest, Sha1};

/// The number of slots, each a contiguous range of hashes.
pub const SLOTS: u16 = 1 << 14;

pub(super) const HASH_BITS: u32 = 63;
pub(super) const SLOT_BITS: u32 = SLOTS.trailing_zeros();

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

    /// Restores a hash from the wire or from disk. Bits past the 63rd are dropped.
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

    /// The hash for an in-memory table, whose low bits choose a bucket and whose top seven bits tell the entries of a
    /// bucket apart. The routing hash's own top bits are all alike on one shard, so lower bits are mixed in.
    pub fn table_hash(self) -> u64 {
        self.0 ^ (self.0 << 32)
    }
}

/// One of the [`SLOTS`] ranges of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

impl Slot {
    /// The hashes of the slot, as numbers.
    pub fn hashes(self) -> Range<u64> {
        let width = HASH_BITS - SLOT_BITS;
        u64::from(self.0) << width..(u64::from(self.0) + 1) << width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes come from Python: `int.from_bytes(hashlib.sha1(id.encode()).digest(), "big") % 2**63`.
    #[test]
    fn hashes_match_those_of_python() {
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
        for slot in [Slot(0), Slot(1), Slot(SLOTS - 1)] {
            let hashes = slot.hashes();
            assert_eq!(KeyHash::from_bits(hashes.start).slot(), slot);
            assert_eq!(KeyHash::from_bits(hashes.end - 1).slot(), slot);
        }
        assert_eq!(KeyHash::from_bits(0).slot(), Slot(0));
        assert_eq!(KeyHash::from_bits((1 << 49) - 1).slot(), Slot(0));
        assert_eq!(KeyHash::from_bits(1 << 49).slot(), Slot(1));
        assert_eq!(KeyHash::from_bits(u64::MAX).slot(), Slot(SLOTS - 1));
    }
}
