//! Walks along the frames of a log file.

use std::io;

use uuid::Uuid;

use super::disk::DiskFile;
use super::frame::{FrameHeader, HEADER_BYTES, Place};
use crate::storage::record::Write;

/// What all files of a log have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The ring that they belong to.
    pub ring: Uuid,
    /// The unit of writes, in bytes.
    pub unit: usize,
    /// Bytes of each file.
    pub file_bytes: u64,
}

impl Layout {
    /// The place of a frame.
    pub fn place(&self, number: u64, offset: u64) -> Place {
        Place { ring: self.ring, file: number, offset }
    }

    /// Walks along the frames of the file with this number, from an offset on.
    pub fn walk<'a>(&self, file: &'a dyn DiskFile, number: u64, offset: u64) -> FrameWalk<'a> {
        FrameWalk { file, place: self.place(number, offset), layout: *self }
    }
}

/// A frame as it was found.
pub struct Found {
    /// The offset in the file.
    pub offset: u64,
    /// The header, which fits the place.
    pub header: FrameHeader,
    /// The effects; `None` when the payload is damaged or reaches past the file.
    pub effects: Option<Vec<Write>>,
}

/// Walks along the frames of a file.
pub struct FrameWalk<'a> {
    file: &'a dyn DiskFile,
    place: Place,
    layout: Layout,
}

impl FrameWalk<'_> {
    /// The offset of the next frame.
    pub fn offset(&self) -> u64 {
        self.place.offset
    }

    /// The next frame; `None` where no frame begins.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn next(&mut self) -> io::Result<Option<Found>> {
        let (offset, unit, file_bytes) = (self.place.offset, self.layout.unit, self.layout.file_bytes);
        if offset + unit as u64 > file_bytes {
            return Ok(None);
        }
        let mut bytes = vec![0; unit];
        self.file.read_at(&mut bytes, offset)?;
        let Some(header) = FrameHeader::decode(&bytes, self.place) else { return Ok(None) };
        let end = offset + header.span(unit);
        if end > file_bytes {
            return Ok(Some(Found { offset, header, effects: None }));
        }
        let payload_end = HEADER_BYTES + header.payload_bytes();
        if payload_end > unit {
            bytes.resize(payload_end, 0);
            self.file.read_at(&mut bytes[unit..], offset + unit as u64)?;
        }
        self.place.offset = end;
        let effects = header.decode_payload(&bytes[HEADER_BYTES..payload_end]);
        Ok(Some(Found { offset, header, effects }))
    }
}
