//! What the tables know of the log that they were filled from.

use uuid::Uuid;

use super::bytes::Reader;

/// Bytes of an encoded mark.
pub const MARK_BYTES: usize = 32;

/// Written to the tables together with effects of the log. It tells that the log is of another store, or an older copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The ring of the log.
    pub ring: Uuid,
    /// Every effect up to this sequence is in the tables.
    pub applied: u64,
    /// The log reached to this sequence when the tables were written.
    pub reached: u64,
}

impl Mark {
    /// Encodes the mark.
    pub fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..16].copy_from_slice(self.ring.as_bytes());
        bytes[16..24].copy_from_slice(&self.applied.to_le_bytes());
        bytes[24..].copy_from_slice(&self.reached.to_le_bytes());
        bytes
    }

    /// The same mark with what another one of the same log knows.
    pub fn with(self, other: Option<Mark>) -> Self {
        let reached = other.filter(|other| other.ring == self.ring).map_or(0, |other| other.reached);
        Mark { reached: self.reached.max(reached), ..self }
    }

    /// Decodes a mark; `None` when these bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mark = Mark { ring: reader.uuid()?, applied: reader.u64()?, reached: reader.u64()? };
        (bytes.len() == MARK_BYTES).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back() {
        let mark = Mark { ring: Uuid::from_u128(3), applied: 7, reached: 9 };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        assert_eq!(Mark::decode(&mark.encode()[1..]), None);
        assert_eq!(Mark::decode(&[0; MARK_BYTES + 1]), None);
    }
}
