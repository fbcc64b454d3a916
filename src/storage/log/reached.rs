//! A second note of how far a log reaches, beside the tables. The manifest lies with the log, so it says nothing of a log
//! directory that was replaced by an older copy as a whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::bytes::Reader;
use super::mark::{MARK_BYTES, Mark};

/// The name of the file.
const REACHED: &str = "reached";

/// The file that keeps the note: a mark and its CRC32C. A torn or lost one is as if it never was.
pub struct ReachedFile(File);

impl ReachedFile {
    /// Opens or makes the file in the directory of the tables.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(REACHED);
        File::options().create(true).truncate(false).write(true).open(path).map(ReachedFile)
    }

    /// Writes the note; it is durable when this returns.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, mark: Mark) -> io::Result<()> {
        let mark = mark.encode();
        let checksum = crc32c::crc32c(&mark).to_le_bytes();
        self.0.write_all_at(&[&mark[..], &checksum[..]].concat(), 0)?;
        self.0.sync_data()
    }
}

/// Reads the note in a directory of tables; `None` when there is none.
pub fn read(directory: &Path) -> Option<Mark> {
    let bytes = std::fs::read(directory.join(REACHED)).ok()?;
    let mut reader = Reader::new(&bytes);
    let mark = Mark::decode(&reader.take::<MARK_BYTES>()?);
    reader.checksum()?;
    mark
}
