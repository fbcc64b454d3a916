//! The manifest of a log: which files it has, which of them are needed, and how far it is known to reach.
//!
//! It lies apart from the log's files, so that damage to them does not take with it what tells of the damage. Two slots
//! are written in turns; a torn write leaves the other one.

use std::io;

use uuid::Uuid;

use super::block::BlockBuffer;
use super::bytes::Reader;
use super::disk::{Disk, DiskFile};
use super::mark::Mark;
use super::walk::Layout;

/// The name of its file.
pub const MANIFEST: &str = "manifest";
const MAGIC: [u8; 8] = *b"scartman";
/// The format of the whole log directory.
const FORMAT: u32 = 3;
/// The most files of a log: what fits into a slot.
pub const MAX_FILES: usize = 200;
const SLOTS: u64 = 2;

/// A file of the ring that holds frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveFile {
    /// Its position in the ring, which names it.
    pub index: u16,
    /// Its number: greater than that of any file before.
    pub number: u64,
    /// The sequence of the last commit before its first frame.
    pub after: u64,
}

/// The content of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The ring; another one is another log.
    pub ring: Uuid,
    /// The unit of writes, in bytes.
    pub unit: u32,
    /// Bytes of each file.
    pub file_bytes: u64,
    /// The number of files that exist.
    pub files: u16,
    /// Every effect up to this sequence is in the tables.
    pub applied: u64,
    /// The number that the next file gets.
    pub next_number: u64,
    /// The log reaches at least to this sequence.
    pub reached: u64,
    /// A repair gave up commits up to this sequence, so the tables may know of them; 0 when none did.
    pub given_up: u64,
    /// The files that may hold frames that are not applied, from the oldest to the newest.
    pub live: Vec<LiveFile>,
}

impl Manifest {
    /// What all files of the log have in common.
    pub fn layout(&self) -> Layout {
        Layout { ring: self.ring, unit: self.unit as usize, file_bytes: self.file_bytes }
    }

    /// What tables that fit this manifest know of the log.
    pub fn assumed_mark(&self) -> Mark {
        Mark { ring: self.ring, applied: self.applied, reached: self.reached }
    }

    /// Encodes a slot.
    pub(super) fn encode(&self, generation: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + 18 * self.live.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&generation.to_le_bytes());
        bytes.extend_from_slice(self.ring.as_bytes());
        bytes.extend_from_slice(&self.unit.to_le_bytes());
        bytes.extend_from_slice(&self.file_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.files.to_le_bytes());
        bytes.extend_from_slice(&self.applied.to_le_bytes());
        bytes.extend_from_slice(&self.next_number.to_le_bytes());
        bytes.extend_from_slice(&self.reached.to_le_bytes());
        bytes.extend_from_slice(&self.given_up.to_le_bytes());
        let live = u16::try_from(self.live.len()).expect("a ring has at most MAX_FILES files");
        bytes.extend_from_slice(&live.to_le_bytes());
        for file in &self.live {
            bytes.extend_from_slice(&file.index.to_le_bytes());
            bytes.extend_from_slice(&file.number.to_le_bytes());
            bytes.extend_from_slice(&file.after.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes a slot: its generation and the content; `None` when it has none.
    pub(super) fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let mut reader = Reader::new(bytes);
        if reader.take()? != MAGIC || reader.u32()? != FORMAT {
            return None;
        }
        let generation = reader.u64()?;
        let manifest = Manifest {
            ring: reader.uuid()?,
            unit: reader.u32()?,
            file_bytes: reader.u64()?,
            files: reader.u16()?,
            applied: reader.u64()?,
            next_number: reader.u64()?,
            reached: reader.u64()?,
            given_up: reader.u64()?,
            live: {
                let count = reader.u16()?;
                (0..count)
                    .map(|_| Some(LiveFile { index: reader.u16()?, number: reader.u64()?, after: reader.u64()? }))
                    .collect::<Option<_>>()?
            },
        };
        reader.checksum()?;
        Some((generation, manifest))
    }
}

/// The file that keeps the manifest.
pub struct ManifestFile {
    file: Box<dyn DiskFile>,
    buffer: BlockBuffer,
    unit: usize,
    generation: u64,
}

impl ManifestFile {
    /// Makes the file with its first content. A crash leaves the whole file or none of that name.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn create(disk: &dyn Disk, manifest: &Manifest) -> io::Result<Self> {
        const UNFINISHED: &str = "manifest.new";
        let unit = disk.unit();
        let file = disk.create(UNFINISHED, SLOTS * unit as u64, &mut |_| ())?;
        let mut created = ManifestFile { file, buffer: BlockBuffer::default(), unit, generation: 0 };
        created.write(manifest)?;
        disk.rename(UNFINISHED, MANIFEST)?;
        Ok(created)
    }

    /// Opens the file and reads its newest content; `None` when neither slot has one.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open(disk: &dyn Disk) -> io::Result<(Self, Option<Manifest>)> {
        let file = disk.open(MANIFEST)?;
        // The slots are as far apart as they were written, which may be more than this disk's unit.
        let length = file.length()?;
        let unit = usize::try_from(length / SLOTS).unwrap_or_default();
        let mut newest: Option<(u64, Manifest)> = None;
        if unit >= disk.unit() && unit.is_multiple_of(disk.unit()) {
            let mut bytes = vec![0; unit];
            for slot in 0..SLOTS {
                file.read_at(&mut bytes, slot * unit as u64)?;
                let found = Manifest::decode(&bytes);
                newest = found
                    .filter(|(generation, _)| newest.as_ref().is_none_or(|(other, _)| generation > other))
                    .or(newest);
            }
        }
        let generation = newest.as_ref().map_or(0, |(generation, _)| *generation);
        let opened = ManifestFile { file, buffer: BlockBuffer::default(), unit, generation };
        Ok((opened, newest.map(|(_, manifest)| manifest)))
    }

    /// Writes a content; it is durable when this returns.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&mut self, manifest: &Manifest) -> io::Result<()> {
        let generation = self.generation + 1;
        let bytes = manifest.encode(generation);
        let slot = generation % SLOTS * self.unit as u64;
        self.file.write_at(self.buffer.fill(&[&bytes], self.unit), slot)?;
        // After a write that failed the next one goes to the same slot: the other one has what is known to be good.
        self.generation = generation;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(live: usize) -> Manifest {
        let live =
            (0..live).map(|index| LiveFile { index: index as u16, number: 100 + index as u64, after: 7 }).collect();
        Manifest {
            ring: Uuid::from_u128(1),
            unit: 4_096,
            file_bytes: 65_536,
            files: 300,
            applied: 7,
            next_number: 400,
            reached: 9,
            given_up: 8,
            live,
        }
    }

    #[test]
    fn it_fits_a_slot_and_is_read_back() {
        for live in [0, 1, MAX_FILES] {
            let bytes = manifest(live).encode(5);
            assert!(bytes.len() <= super::super::block::BLOCK_BYTES);
            assert_eq!(Manifest::decode(&[&bytes[..], &[0; 100]].concat()), Some((5, manifest(live))));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = manifest(3).encode(5);
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert_eq!(Manifest::decode(&damaged), None, "bit {at}");
        }
    }
}
