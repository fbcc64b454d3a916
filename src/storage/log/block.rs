//! Memory that direct I/O can be done from: aligned, and whole blocks of it.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The alignment of memory and the least unit of writes, in bytes: the physical sector of today's disks. A torn write
/// can destroy all of a unit, so nothing that was acknowledged shares one with what is written later.
pub const BLOCK_BYTES: usize = 4096;

#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// A buffer that is written to a file in whole units.
#[derive(Default)]
pub struct BlockBuffer {
    blocks: Vec<Block>,
}

impl BlockBuffer {
    /// Takes the parts one after the other, and zeros up to a multiple of `unit` bytes (itself one of
    /// [`BLOCK_BYTES`]).
    pub fn fill(&mut self, parts: &[&[u8]], unit: usize) -> &[u8] {
        let length = parts.iter().map(|part| part.len()).sum::<usize>().next_multiple_of(unit);
        // Longer buffers of before are cut, so that a large batch does not keep its memory.
        self.blocks.truncate(length.div_ceil(BLOCK_BYTES));
        self.blocks.shrink_to(length.div_ceil(BLOCK_BYTES) * 2);
        self.blocks.resize_with(length.div_ceil(BLOCK_BYTES), Block::new_zeroed);
        let bytes = self.blocks.as_mut_bytes();
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        bytes[at..].fill(0);
        self.blocks.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_padded_and_forgets_what_was_before() {
        let mut buffer = BlockBuffer::default();
        buffer.fill(&[&[7; 3 * BLOCK_BYTES]], BLOCK_BYTES);
        let bytes = buffer.fill(&[b"ab", b"c"], 2 * BLOCK_BYTES);
        assert_eq!(bytes.as_ptr() as usize % BLOCK_BYTES, 0);
        assert_eq!(bytes.len(), 2 * BLOCK_BYTES);
        assert!(bytes.starts_with(b"abc") && bytes[3..].iter().all(|byte| *byte == 0));
        assert!(buffer.fill(&[], BLOCK_BYTES).is_empty());
    }
}
