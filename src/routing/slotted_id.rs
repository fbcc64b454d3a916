//! Identifiers that a shard chooses: UUIDs (RFC 9562, version 8) that carry their home slot, so that
//! an order is found from its id alone, without an index.
//!
//! The bits are: 48 of milliseconds since 1970, the version, 12 random, the variant, 14 of the slot, 48 random.

use std::fmt;

use uuid::Uuid;

use super::hash::{HASH_BITS, KeyHash, SLOT_BITS, Slot};

const MILLIS_SHIFT: u32 = 16;
const SLOT_SHIFT: u32 = 48;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

macro_rules! slotted_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id in a slot, from milliseconds since 1970 and random bits.
            pub fn new(slot: Slot, millis: u64, random: u128) -> Self {
                $name(place(slot, millis, random))
            }

            /// Parses an id; `None` for a text that no shard makes.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::parse_str(text).ok().and_then(|uuid| Self::from_bytes(uuid.into_bytes()))
                    .filter(|id| id.to_string().eq_ignore_ascii_case(text))
            }

            /// Reads an id from bytes; `None` for bytes that no shard makes.
            pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
                let uuid = Uuid::from_bytes(bytes);
                (uuid.get_version_num() == 8).then_some($name(uuid))
            }

            /// The id as bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The time at which it was made, in milliseconds since 1970.
            pub fn millis(&self) -> u64 {
                self.0.as_u64_pair().0 >> MILLIS_SHIFT
            }

            /// The routing hash: the home slot, and within it the id's own bits.
            pub fn hash(&self) -> KeyHash {
                hash_of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

slotted_id!(
    /// An order.
    OrderId
);
slotted_id!(
    /// A delivery; its home slot is its order's.
    DeliveryId
);

fn place(slot: Slot, millis: u64, random: u128) -> Uuid {
    let high = (millis << MILLIS_SHIFT) | (random as u64 & 0xfff);
    let low = (u64::from(slot.0) << SLOT_SHIFT) | ((random >> 16) as u64 & ((1 << SLOT_SHIFT) - 1));
    // The builder overwrites the bits of version and variant.
    uuid::Builder::from_custom_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes()).into_uuid()
}

fn hash_of(uuid: Uuid) -> KeyHash {
    let (high, low) = uuid.as_u64_pair();
    let slot = (low >> SLOT_SHIFT) & SLOT_MASK;
    let own_bits = HASH_BITS - SLOT_BITS;
    KeyHash::from_bits((slot << own_bits) | ((low ^ high) & ((1 << SLOT_SHIFT) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_that_no_shard_makes_are_refused() {
        let id = OrderId::new(Slot(7), 1_763_900_000_000, 5);
        assert_eq!(OrderId::parse(&id.to_string()), Some(id));
        assert_eq!(id.millis(), 1_763_900_000_000);
        for text in ["", "7", "not-an-id", "01908e5c-0000-7000-8000-000000000000", &id.to_string().replace('-', "")] {
            assert_eq!(OrderId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_carries_its_slot(slot in 0..1_u16 << 14, millis in 0..1_u64 << 48, random: u128) {
            let id = DeliveryId::new(Slot(slot), millis, random);
            prop_assert_eq!(id.hash().slot(), Slot(slot));
            prop_assert_eq!(DeliveryId::from_bytes(*id.as_bytes()), Some(id));
            prop_assert_eq!(DeliveryId::parse(&id.to_string()), Some(id));
        }
    }
}
