//! The first unit of a log file: the ring, position and number that it belongs to.

use uuid::Uuid;

use super::bytes::Reader;

const MAGIC: [u8; 8] = *b"scartlog";
const FORMAT: u32 = 2;
const CHECKED_BYTES: usize = 46;
/// Bytes of an encoded header; the rest of the unit is zeros.
const HEADER_BYTES: usize = CHECKED_BYTES + 4;

/// A file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// The ring.
    pub ring: Uuid,
    /// The position in the ring, which names the file.
    pub index: u16,
    /// The number, from 1. A file that is used again gets a greater one.
    pub number: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl FileHeader {
    /// Encodes the header.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..28].copy_from_slice(self.ring.as_bytes());
        bytes[28..30].copy_from_slice(&self.index.to_le_bytes());
        bytes[30..38].copy_from_slice(&self.number.to_le_bytes());
        bytes[38..46].copy_from_slice(&self.file_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes a header; `None` when there is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.take()? != MAGIC || reader.u32()? != FORMAT {
            return None;
        }
        let header =
            FileHeader { ring: reader.uuid()?, index: reader.u16()?, number: reader.u64()?, file_bytes: reader.u64()? };
        reader.checksum()?;
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_every_flipped_bit_is_noticed() {
        let header = FileHeader { ring: Uuid::from_u128(5), index: 2, number: 77, file_bytes: 1 << 24 };
        let bytes = header.encode();
        assert_eq!(FileHeader::decode(&bytes), Some(header));
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[at / 8] ^= 1 << (at % 8);
            assert_eq!(FileHeader::decode(&damaged), None, "bit {at}");
        }
    }
}
