//! Records, their keys and kinds, and the writes that change them.

use crate::error::{Error, Result};
use crate::routing::KeyHash;

const LENGTH_BYTES: usize = 2;
const HASH_BYTES: usize = 8;
/// The position of the id within a key, in bytes. A shorter key belongs to the store itself (header, counter).
pub const KEY_PREFIX_BYTES: usize = HASH_BYTES + 1;
/// The key of a data directory's header; shorter than any record's key.
pub const HEADER_KEY: &[u8] = b"header";
/// The key of the counter that versions come from, written with each commit; shorter than any record's key.
pub const COUNTER_KEY: &[u8] = b"counter";
/// The key of the counts of decided orders, written with each commit that changes them; shorter than any record's key.
pub const ORDER_COUNTS_KEY: &[u8] = b"orders";
/// The key of the anchor of the shard's clock, written at the first start of a boot; shorter than any record's key.
pub const CLOCK_KEY: &[u8] = b"clock";

/// The key of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKey<'a> {
    /// The hash of the record's owner, which decides the shard. It is part of the key to save computing a SHA-1.
    pub hash: KeyHash,
    /// The kind of the record.
    pub kind: RecordKind,
    /// The whole id.
    pub id: &'a [u8],
}

/// A record in one allocation: `key length ‖ hash ‖ kind ‖ id ‖ value`. The hash comes first in the key, so that
/// storage keeps the records of a slot together. The whole id follows, so that ids with equal hashes stay apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(Box<[u8]>);

impl Record {
    /// Makes a record. A record to be deleted has an empty value.
    pub fn new(key: RecordKey<'_>, value: &[u8]) -> Self {
        let RecordKey { hash, kind, id } = key;
        let key_length = KEY_PREFIX_BYTES + id.len();
        let mut bytes = Vec::with_capacity(LENGTH_BYTES + key_length + value.len());
        bytes.extend_from_slice(&Self::length_prefix(key_length));
        bytes.extend_from_slice(&hash.bits().to_be_bytes());
        bytes.push(kind as u8);
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(value);
        Record(bytes.into_boxed_slice())
    }

    /// Makes a record from a stored key and value.
    pub fn from_parts(key: &[u8], value: &[u8]) -> Self {
        Record([&Self::length_prefix(key.len()), key, value].concat().into_boxed_slice())
    }

    fn length_prefix(key_length: usize) -> [u8; LENGTH_BYTES] {
        u16::try_from(key_length).expect("ids are limited to a few hundred bytes").to_le_bytes()
    }

    fn key_end(&self) -> usize {
        LENGTH_BYTES + usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }

    /// `hash ‖ kind ‖ id`.
    pub fn key(&self) -> &[u8] {
        &self.0[LENGTH_BYTES..self.key_end()]
    }

    /// The value.
    pub fn value(&self) -> &[u8] {
        &self.0[self.key_end()..]
    }

    /// The hash within the key; `None` for a key too short to be a record's.
    pub fn hash(&self) -> Option<KeyHash> {
        let bytes = self.key().first_chunk::<HASH_BYTES>()?;
        Some(KeyHash::from_bits(u64::from_be_bytes(*bytes)))
    }

    /// The key in its parts; `None` for one of the store itself.
    pub fn parsed_key(&self) -> Option<RecordKey<'_>> {
        let (hash, (kind, id)) = (self.hash()?, self.key().get(HASH_BYTES..)?.split_first()?);
        Some(RecordKey { hash, kind: RecordKind::try_from(*kind).ok()?, id })
    }

    /// True when the record is of this kind.
    pub fn is_kind(&self, kind: RecordKind) -> bool {
        self.key().get(HASH_BYTES) == Some(&(kind as u8))
    }

    /// The size of the allocation, in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// True when the record has this key.
    pub fn is_of(&self, wanted: RecordKey<'_>) -> bool {
        let RecordKey { hash, kind, id } = wanted;
        let key = self.key();
        key.len() == KEY_PREFIX_BYTES + id.len()
            && key[HASH_BYTES] == kind as u8
            && key[KEY_PREFIX_BYTES..] == *id
            && key[..HASH_BYTES] == hash.bits().to_be_bytes()
    }
}

/// The kind of a record: one byte of its key. The numbers are on disk and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A customer's cart.
    Cart = 1,
    /// A product and its stock.
    Product = 2,
    /// An order that is decided and settled.
    Order = 3,
    /// A delivery.
    Delivery = 4,
    /// A value of the key-value API.
    Kv = 5,
    /// A stored reply to a request with an `Idempotency-Key`.
    Idempotency = 6,
    /// Stock that an order holds, on the product's shard.
    Reservation = 7,
    /// An order that is undecided or not yet settled.
    OpenOrder = 8,
    /// The end of a reservation (sold or released), kept so that a late command changes nothing.
    Settlement = 9,
    /// An order's place in a list: in that of its shard, or in that of its customer.
    OrderEntry = 10,
    /// The deliveries of an order.
    OrderDeliveries = 11,
    /// The note that a product's part of a cancelled order is back, on the product's shard.
    Return = 12,
}

impl RecordKind {
    /// The kinds that are read when a shard starts. The others grow with history and are read one by one.
    pub const LOADED: [RecordKind; 8] = [
        RecordKind::Cart,
        RecordKind::Product,
        RecordKind::Kv,
        RecordKind::Idempotency,
        RecordKind::Reservation,
        RecordKind::OpenOrder,
        RecordKind::Settlement,
        RecordKind::Return,
    ];

    /// True for kinds that are read when a shard starts.
    pub fn is_loaded(self) -> bool {
        Self::LOADED.contains(&self)
    }

    /// True for kinds that are held in memory; the others are read from storage.
    pub fn is_resident(self) -> bool {
        !matches!(
            self,
            RecordKind::Order
                | RecordKind::Delivery
                | RecordKind::Idempotency
                | RecordKind::Settlement
                | RecordKind::OrderEntry
                | RecordKind::OrderDeliveries
        )
    }
}

/// The kind of the record with a key; `None` for the store's own keys.
pub fn kind_of(key: &[u8]) -> Option<RecordKind> {
    key.get(HASH_BYTES).and_then(|kind| RecordKind::try_from(*kind).ok())
}

impl TryFrom<u8> for RecordKind {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(RecordKind::Cart),
            2 => Ok(RecordKind::Product),
            3 => Ok(RecordKind::Order),
            4 => Ok(RecordKind::Delivery),
            5 => Ok(RecordKind::Kv),
            6 => Ok(RecordKind::Idempotency),
            7 => Ok(RecordKind::Reservation),
            8 => Ok(RecordKind::OpenOrder),
            9 => Ok(RecordKind::Settlement),
            10 => Ok(RecordKind::OrderEntry),
            11 => Ok(RecordKind::OrderDeliveries),
            12 => Ok(RecordKind::Return),
            other => Err(Error::Internal(format!("a record of the unknown kind {other}"))),
        }
    }
}

/// One effect of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Stores the record, in place of an earlier one with its key.
    Put(Record),
    /// Deletes the record with this key. The value is empty.
    Delete(Record),
}

impl Write {
    /// The stored record, or the deleted one with an empty value.
    pub fn record(&self) -> &Record {
        match self {
            Write::Put(record) | Write::Delete(record) => record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found_again() {
        let hash = KeyHash::of("alice");
        let record = Record::new(RecordKey { hash, kind: RecordKind::Cart, id: b"alice" }, b"value");
        assert_eq!(record.value(), b"value");
        assert_eq!(record.hash(), Some(hash));
        assert_eq!(Record::from_parts(record.key(), record.value()), record);
    }

    #[test]
    fn hash_kind_and_id_all_tell_records_apart() {
        let hash = KeyHash::from_bits(1);
        let key = RecordKey { hash, kind: RecordKind::Cart, id: b"a" };
        let record = Record::new(key, b"");
        assert!(record.is_of(key));
        assert!(!record.is_of(RecordKey { hash: KeyHash::from_bits(2), ..key }));
        assert!(!record.is_of(RecordKey { kind: RecordKind::Kv, ..key }));
        assert!(!record.is_of(RecordKey { id: b"b", ..key }));
        assert!(!record.is_of(RecordKey { id: b"ab", ..key }));
    }
}
