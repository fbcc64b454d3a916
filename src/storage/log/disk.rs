//! The files of a log as it sees them: every write is durable when it returns. A trait, so that tests can fail, tear
//! and lose writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, OFlags, StatxFlags, statx};

use super::block::{BLOCK_BYTES, BlockBuffer};

/// Bytes of zeros that are written at once when a file is made.
const ZEROS_BYTES: usize = 256 << 10;

/// A directory of files.
pub trait Disk: Send + Sync {
    /// The names of all files, in no order.
    ///
    /// # Errors
    /// Those of the file system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a file of zeros. It, its size and its directory entry are durable when this returns. A file of that name is
    /// replaced. After each part `pause` is told how long it took, and may wait, so that others get the device in between.
    ///
    /// # Errors
    /// Those of the file system.
    fn create(&self, name: &str, bytes: u64, pause: &mut dyn FnMut(Duration)) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a file with a content of any length, durable when this returns.
    ///
    /// # Errors
    /// Those of the file system.
    fn save(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// Gives a file another name, durably; a file that had it is replaced.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// The unit of writes in bytes: a multiple of [`BLOCK_BYTES`].
    fn unit(&self) -> usize;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn length(&self) -> io::Result<u64>;

    /// Fills a buffer from an offset on.
    ///
    /// # Errors
    /// Those of the file system, and of a file that ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes whole units from aligned memory to an aligned offset. They are durable when this returns.
    ///
    /// # Errors
    /// Those of the file system; the units may then hold old and new bytes in any mixture.
    fn write_at(&self, units: &[u8], offset: u64) -> io::Result<()>;

    /// Everything that was ever written to the file is durable when this returns, also what a process wrote that was
    /// killed meanwhile.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the local file system.
pub struct LocalDisk {
    directory: PathBuf,
    unit: usize,
    /// False where the file system has no direct I/O (tmpfs): then each write is still synced.
    is_direct: bool,
}

struct LocalFile {
    /// Opened for synced, and if possible direct, writes.
    writer: File,
    /// Opened without flags: direct reads would want aligned memory.
    reader: File,
}

impl LocalDisk {
    /// Opens or makes a directory. `kept` names a file that is there unless the directory is new.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(directory: &Path, kept: &str) -> io::Result<Self> {
        if !directory.is_dir() {
            fs::create_dir_all(directory)?;
            sync_directory(directory.parent().unwrap_or(directory))?;
        }
        let mut disk = LocalDisk { directory: directory.to_owned(), unit: BLOCK_BYTES, is_direct: true };
        disk.probe(kept)?;
        if !disk.is_direct {
            tracing::info!(directory = %directory.display(), "no direct I/O here: the log is written through the page cache");
        }
        Ok(disk)
    }

    /// True when writes pass by the page cache.
    pub fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Finds out whether direct I/O works, and in which unit. A log that is there is only opened: on a full disk nothing
    /// can be written to a new file.
    fn probe(&mut self, kept: &str) -> io::Result<()> {
        const PROBE: &str = "probe";
        let is_new = !self.path(kept).exists();
        let name = if is_new { PROBE } else { kept };
        let path = self.path(name);
        let file = if is_new { File::create(&path)? } else { File::open(&path)? };
        let alignment = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)
            .map_or(0, |found| found.stx_dio_offset_align as usize);
        self.unit = alignment.next_power_of_two().max(BLOCK_BYTES);
        let works = self.open(name).and_then(|file| {
            let mut buffer = BlockBuffer::default();
            if is_new { file.write_at(buffer.fill(&[&[0]], self.unit), 0) } else { Ok(()) }
        });
        if is_new {
            fs::remove_file(&path)?;
        }
        match works {
            Ok(()) => Ok(()),
            Err(error) if self.is_direct && error.kind() == io::ErrorKind::InvalidInput => {
                self.is_direct = false;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Disk for LocalDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.directory)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(name);
        let flags = if self.is_direct { OFlags::DSYNC | OFlags::DIRECT } else { OFlags::DSYNC };
        let writer = OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(&path)?;
        Ok(Box::new(LocalFile { writer, reader: File::open(&path)? }))
    }

    fn create(&self, name: &str, bytes: u64, pause: &mut dyn FnMut(Duration)) -> io::Result<Box<dyn DiskFile>> {
        // Zeros are written, not only reserved: else the first write to each place would change the file's extents, and
        // its sync would have to wait for the file system's journal. They are synced part by part: the device would make
        // a commit wait for all of them.
        let mut file = File::create(self.path(name))?;
        let zeros = vec![0; ZEROS_BYTES];
        let mut rest = bytes;
        while rest > 0 {
            let began = Instant::now();
            let count = usize::try_from(rest).map_or(ZEROS_BYTES, |rest| rest.min(ZEROS_BYTES));
            file.write_all(&zeros[..count])?;
            file.sync_data()?;
            rest -= count as u64;
            pause(began.elapsed());
        }
        file.sync_all()?;
        sync_directory(&self.directory)?;
        self.open(name)
    }

    fn save(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.path(name))?;
        file.write_all(content)?;
        file.sync_all()?;
        sync_directory(&self.directory)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        sync_directory(&self.directory)
    }

    fn unit(&self) -> usize {
        self.unit
    }
}

impl DiskFile for LocalFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.reader.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.reader.read_exact_at(buffer, offset)
    }

    fn write_at(&self, units: &[u8], offset: u64) -> io::Result<()> {
        // One call: a part of a frame that is written for itself could be durable without the rest.
        let written = self.writer.write_at(units, offset)?;
        match written == units.len() {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::WriteZero, format!("{written} of {} bytes", units.len()))),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.reader.sync_all()
    }
}
