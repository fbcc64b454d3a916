//! Reads integers from the bytes of a manifest or a file's header, up to the checksum that ends them.

use uuid::Uuid;

/// Reads fields one after the other; integers are little-endian. Each read gives `None` past the end.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// The next bytes.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*bytes)
    }

    /// An integer of two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// An integer of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// An integer of eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A UUID.
    pub fn uuid(&mut self) -> Option<Uuid> {
        self.take().map(Uuid::from_bytes)
    }

    /// Reads a CRC32C; `None` unless it is that of everything before it.
    pub fn checksum(&mut self) -> Option<()> {
        let computed = crc32c::crc32c(&self.bytes[..self.at]);
        (self.u32()? == computed).then_some(())
    }
}
