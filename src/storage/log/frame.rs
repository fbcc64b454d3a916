//! A frame: one commit in the log. A header that only fits its own place, then the effects.
//!
//! ```text
//!  0  magic            4
//!  4  stored length    4   bytes of the payload as they are stored
//!  8  sequence         8   of this commit
//! 16  previous         8   the sequence of the commit before
//! 24  raw length       4   bytes of the payload before compression; 0 when it is not compressed
//! 28  payload CRC      4   CRC32C of the payload as it is stored
//! 32  header CRC       4   CRC32C of ring id, file number, offset and the bytes 0 to 32
//! 36  payload
//!     zeros up to the unit
//! ```
//!
//! Integers are little-endian. The header's CRC covers the place: a frame of an earlier lap, of another ring or from
//! another offset is never taken for one of this place. Lengths are bounded before anything is allocated.

use uuid::Uuid;

use crate::storage::record::{Record, Write};

/// Bytes of a frame before its payload.
pub const HEADER_BYTES: usize = 36;
const MAGIC: [u8; 4] = *b"scf1";
/// Payloads that are longer are compressed, if that makes them shorter.
const COMPRESS_FROM_BYTES: usize = 6 << 10;
/// The most bytes of a payload before compression: more than the engine puts into a batch.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// The place of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The ring that the file belongs to.
    pub ring: Uuid,
    /// The file's number.
    pub file: u64,
    /// The offset in it, in bytes.
    pub offset: u64,
}

impl Place {
    fn checksum(self, header: &[u8]) -> u32 {
        let seed = crc32c::crc32c(self.ring.as_bytes());
        let seed = crc32c::crc32c_append(seed, &self.file.to_le_bytes());
        let seed = crc32c::crc32c_append(seed, &self.offset.to_le_bytes());
        crc32c::crc32c_append(seed, header)
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The sequence of the commit.
    pub sequence: u64,
    /// The sequence of the commit before.
    pub previous: u64,
    stored: u32,
    raw: u32,
    checksum: u32,
}

/// A commit, encoded as far as it can be without knowing its place.
pub struct Payload {
    pub(super) bytes: Vec<u8>,
    pub(super) raw: u32,
}

impl Payload {
    /// Encodes the effects of a commit.
    pub fn of(writes: &[Write]) -> Self {
        let length = writes.iter().map(|write| write.record().size() + 8).sum();
        let mut bytes = Vec::with_capacity(length);
        for write in writes {
            let (tag, record) = match write {
                Write::Put(record) => (PUT, record),
                Write::Delete(record) => (DELETE, record),
            };
            bytes.push(tag);
            bytes.extend_from_slice(&length_u16(record.key()).to_le_bytes());
            bytes.extend_from_slice(record.key());
            if tag == PUT {
                bytes.extend_from_slice(&length_u32(record.value()).to_le_bytes());
                bytes.extend_from_slice(record.value());
            }
        }
        Self::compressed(bytes)
    }

    fn compressed(bytes: Vec<u8>) -> Self {
        if bytes.len() >= COMPRESS_FROM_BYTES {
            let smaller = lz4_flex::block::compress(&bytes);
            if smaller.len() < bytes.len() {
                return Payload { raw: length_u32(&bytes), bytes: smaller };
            }
        }
        Payload { bytes, raw: 0 }
    }

    /// The bytes as they are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The header for a place.
    pub fn header(&self, place: Place, sequence: u64, previous: u64) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&length_u32(&self.bytes).to_le_bytes());
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..24].copy_from_slice(&previous.to_le_bytes());
        header[24..28].copy_from_slice(&self.raw.to_le_bytes());
        header[28..32].copy_from_slice(&crc32c::crc32c(&self.bytes).to_le_bytes());
        let checksum = place.checksum(&header[..32]);
        header[32..].copy_from_slice(&checksum.to_le_bytes());
        header
    }
}

fn length_u16(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).expect("a key is limited to a few hundred bytes")
}

fn length_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a batch is limited to less than a file")
}

impl FrameHeader {
    /// Decodes the header at a place; `None` when there is none of this place.
    pub fn decode(bytes: &[u8], place: Place) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        (header[..4] == MAGIC && place.checksum(&header[..32]) == u32_at(32)).then(|| FrameHeader {
            sequence: u64_at(8),
            previous: u64_at(16),
            stored: u32_at(4),
            raw: u32_at(24),
            checksum: u32_at(28),
        })
    }

    /// Bytes of the payload as it is stored.
    pub fn payload_bytes(&self) -> usize {
        self.stored as usize
    }

    /// Bytes of the whole frame in units of so many.
    pub fn span(&self, unit: usize) -> u64 {
        span(self.payload_bytes(), unit)
    }

    /// Decodes the effects; `None` when the payload is damaged.
    pub fn decode_payload(&self, stored: &[u8]) -> Option<Vec<Write>> {
        if stored.len() != self.payload_bytes() || crc32c::crc32c(stored) != self.checksum {
            return None;
        }
        if self.raw == 0 {
            return decode_effects(stored);
        }
        let raw = usize::try_from(self.raw).ok().filter(|raw| *raw <= MAX_PAYLOAD_BYTES)?;
        let bytes = lz4_flex::block::decompress(stored, raw).ok().filter(|bytes| bytes.len() == raw)?;
        decode_effects(&bytes)
    }
}

/// Bytes of a frame with such a payload in units of so many.
pub fn span(payload_bytes: usize, unit: usize) -> u64 {
    (HEADER_BYTES + payload_bytes).next_multiple_of(unit) as u64
}

fn decode_effects(mut bytes: &[u8]) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (write, rest) = match *tag {
            PUT => {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                (Write::Put(Record::from_parts(key, value)), rest)
            }
            DELETE => (Write::Delete(Record::from_parts(key, b"")), rest),
            _ => return None,
        };
        writes.push(write);
        bytes = rest;
    }
    Some(writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { ring: Uuid::from_u128(7), file: 3, offset: 8_192 };

    fn writes() -> impl Strategy<Value = Vec<Write>> {
        let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
        let write = (any::<bool>(), bytes(40), bytes(2_000)).prop_map(|(put, key, value)| match put {
            true => Write::Put(Record::from_parts(&key, &value)),
            false => Write::Delete(Record::from_parts(&key, b"")),
        });
        prop::collection::vec(write, 0..20)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(writes in writes(), zeros in 0..20_000_usize) {
            let mut writes = writes;
            writes.push(Write::Put(Record::from_parts(b"compressible", &vec![0; zeros])));
            let payload = Payload::of(&writes);
            let header = FrameHeader::decode(&payload.header(PLACE, 9, 8), PLACE).unwrap();
            prop_assert_eq!((header.sequence, header.previous), (9, 8));
            prop_assert_eq!(header.decode_payload(payload.bytes()), Some(writes));
        }

        #[test]
        fn a_flipped_bit_is_noticed(writes in writes(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let payload = Payload::of(&writes);
            let mut bytes = [&payload.header(PLACE, 9, 8)[..], payload.bytes()].concat();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let header = FrameHeader::decode(&bytes, PLACE);
            let effects = header.and_then(|header| header.decode_payload(&bytes[HEADER_BYTES..]));
            prop_assert_eq!(effects, None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FrameHeader::decode(&bytes, PLACE);
            let _ = decode_effects(&bytes);
        }
    }

    #[test]
    fn a_frame_fits_its_own_place_only() {
        let header = Payload::of(&[]).header(PLACE, 2, 1);
        assert!(FrameHeader::decode(&header, PLACE).is_some());
        for other in
            [Place { ring: Uuid::from_u128(8), ..PLACE }, Place { file: 4, ..PLACE }, Place { offset: 4_096, ..PLACE }]
        {
            assert_eq!(FrameHeader::decode(&header, other), None, "{other:?}");
        }
    }
}
