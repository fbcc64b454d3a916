//! The ring of log files: commits go to the newest, the oldest are freed once the tables have what is in them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::block::BlockBuffer;
use super::disk::{Disk, DiskFile};
use super::file_header::FileHeader;
use super::frame::{HEADER_BYTES, Payload, span};
use super::manifest::{LiveFile, Manifest, ManifestFile};
use super::walk::Layout;
use crate::process::fail_point;
use crate::storage::record::Write;

/// The longest pause of background work at a time.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The sizes of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of a file.
    pub file_bytes: u64,
    /// The most files.
    pub max_files: u16,
}

/// The name of the file at a position.
pub fn file_name(index: u16) -> String {
    format!("{index:04}.log")
}

/// The position of the file with a name; `None` for files of other names.
pub fn file_index(name: &str) -> Option<u16> {
    let index = name.strip_suffix(".log")?.parse().ok()?;
    (file_name(index) == name).then_some(index)
}

/// Where a commit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The position of the file in the ring.
    pub index: u16,
    /// The file's number.
    pub number: u64,
    /// The offset of the frame.
    pub offset: u64,
    /// The sequence of the commit.
    pub sequence: u64,
}

/// The end of the log, where the next commit goes.
struct Cursor {
    /// None before the first file is begun.
    file: Option<LiveFile>,
    offset: u64,
    sequence: u64,
    buffer: BlockBuffer,
}

/// Which files are needed, and which are free.
struct Files {
    manifest: Manifest,
    manifest_file: ManifestFile,
    free: Vec<u16>,
    /// The file that commits go to; none once it is full or sealed.
    newest: Option<LiveFile>,
    /// True while no more files can be made, as on a full disk.
    cannot_grow: bool,
    /// True while a commit waits for a free file.
    is_awaited: bool,
}

/// A log that is open for commits.
pub struct Ring {
    disk: Box<dyn Disk>,
    sizes: Sizes,
    layout: Layout,
    handles: RwLock<Vec<Arc<dyn DiskFile>>>,
    cursor: Mutex<Cursor>,
    files: Mutex<Files>,
    /// Signalled when a file becomes free or is sealed.
    changed: Condvar,
    /// The sequence of the last commit that is durable.
    durable: AtomicU64,
    /// When the disk was given the commit that it is writing.
    write_began: Mutex<Option<Instant>>,
}

impl Ring {
    /// A ring whose files are sealed, as far as they are not free; the next commit begins another one.
    pub fn new(
        disk: Box<dyn Disk>,
        sizes: Sizes,
        handles: Vec<Arc<dyn DiskFile>>,
        manifest: Manifest,
        manifest_file: ManifestFile,
    ) -> Self {
        let sequence = manifest.reached;
        let is_free = |index: &u16| manifest.live.iter().all(|file| file.index != *index);
        let free = (0..manifest.files).filter(is_free).rev().collect();
        let cursor = Cursor { file: None, offset: 0, sequence, buffer: BlockBuffer::default() };
        Ring {
            disk,
            sizes,
            layout: manifest.layout(),
            cursor: Mutex::new(cursor),
            durable: AtomicU64::new(sequence),
            write_began: Mutex::default(),
            files: Mutex::new(Files {
                free,
                manifest,
                manifest_file,
                newest: None,
                cannot_grow: false,
                is_awaited: false,
            }),
            handles: RwLock::new(handles),
            changed: Condvar::new(),
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, index: u16) -> Arc<dyn DiskFile> {
        self.handles.read().unwrap_or_else(PoisonError::into_inner)[usize::from(index)].clone()
    }

    /// The ring's id.
    pub fn id(&self) -> Uuid {
        self.layout.ring
    }

    /// Bytes of a file.
    pub fn file_bytes(&self) -> u64 {
        self.layout.file_bytes
    }

    /// The most bytes of a payload, as it is stored: it has to fit into one file.
    pub fn max_payload_bytes(&self) -> u64 {
        self.layout.file_bytes - (self.layout.unit + HEADER_BYTES) as u64
    }

    /// Writes a commit under the sequence after the last one; `None` for any other sequence, and nothing is written. It
    /// is durable when this returns. Waits while no file is free.
    ///
    /// # Errors
    /// Those of the disk: then nobody knows whether the commit is durable, and the process must end.
    pub fn append(&self, writes: &[Write], sequence: u64) -> io::Result<Option<Position>> {
        let payload = Payload::of(writes);
        let span = span(payload.bytes().len(), self.layout.unit);
        if payload.bytes().len() as u64 > self.max_payload_bytes() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a commit is larger than a log file"));
        }
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if sequence != cursor.sequence + 1 {
            return Ok(None);
        }
        let file = match cursor.file.filter(|_| cursor.offset + span <= self.layout.file_bytes) {
            Some(file) => file,
            None => self.begin_file(&mut cursor)?,
        };
        let (offset, previous) = (cursor.offset, cursor.sequence);
        let header = payload.header(self.layout.place(file.number, offset), sequence, previous);
        let units = cursor.buffer.fill(&[&header, payload.bytes()], self.layout.unit);
        *self.write_began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        fail_point::stall("log_write");
        self.handle(file.index).write_at(units, offset)?;
        *self.write_began.lock().unwrap_or_else(PoisonError::into_inner) = None;
        cursor.offset += span;
        cursor.sequence = sequence;
        self.durable.store(sequence, Ordering::Release);
        Ok(Some(Position { index: file.index, number: file.number, offset, sequence }))
    }

    /// The time for which the disk has been writing a commit; `None` while it writes none.
    pub fn write_time(&self) -> Option<Duration> {
        self.write_began.lock().unwrap_or_else(PoisonError::into_inner).map(|began| began.elapsed())
    }

    /// Seals the newest file, if it has frames, and begins another one when the next commit comes.
    pub fn seal(&self) {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner).file = None;
        self.files().newest = None;
        self.changed.notify_all();
    }

    fn begin_file(&self, cursor: &mut Cursor) -> io::Result<LiveFile> {
        let mut files = self.files();
        // What was written so far can go to the tables, which may be what frees a file.
        files.newest = None;
        self.changed.notify_all();
        let index = loop {
            match files.free.pop() {
                Some(index) => break index,
                None => {
                    files.is_awaited = true;
                    files = self.changed.wait(files).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        files.is_awaited = false;
        let number = files.manifest.next_number;
        let file = LiveFile { index, number, after: cursor.sequence };
        let header = FileHeader { ring: self.layout.ring, index, number, file_bytes: self.layout.file_bytes };
        self.handle(index).write_at(cursor.buffer.fill(&[&header.encode()], self.layout.unit), 0)?;
        files.manifest.next_number += 1;
        files.manifest.live.push(file);
        files.manifest.reached = cursor.sequence;
        files.write_manifest()?;
        files.newest = Some(file);
        cursor.file = Some(file);
        cursor.offset = self.layout.unit as u64;
        // The next file is made while this one is filled.
        self.changed.notify_all();
        Ok(file)
    }

    /// True when a file is free for the commits to come, or can be made.
    pub fn has_room(&self) -> bool {
        let files = self.files();
        !files.free.is_empty() || (files.manifest.files < self.sizes.max_files && !files.cannot_grow)
    }

    /// The sequence of the last commit that is durable.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Notes durably how far the log reaches. Returns the sequence, unless it was noted before.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn note_reached(&self) -> io::Result<Option<u64>> {
        let mut files = self.files();
        let durable = self.durable();
        if files.manifest.reached == durable {
            return Ok(None);
        }
        files.manifest.reached = durable;
        files.write_manifest()?;
        Ok(Some(durable))
    }

    /// Makes one more file, if none is free and there may be more.
    ///
    /// # Errors
    /// Those of the disk; the ring stays as it is.
    pub fn prepare_file(&self) -> io::Result<()> {
        let index = {
            let files = self.files();
            if !files.free.is_empty() || files.manifest.files >= self.sizes.max_files {
                return Ok(());
            }
            files.manifest.files
        };
        let mut pause = |busy: Duration| self.leave_device(busy);
        let created = self.disk.create(&file_name(index), self.layout.file_bytes, &mut pause);
        self.files().cannot_grow = created.is_err();
        let file = created?;
        self.handles.write().unwrap_or_else(PoisonError::into_inner).push(Arc::from(file));
        let mut files = self.files();
        files.manifest.files += 1;
        files.write_manifest()?;
        files.free.push(index);
        self.changed.notify_all();
        Ok(())
    }

    /// The sealed files, from the oldest on.
    pub fn sealed(&self) -> Vec<LiveFile> {
        let files = self.files();
        files.manifest.live.iter().copied().filter(|file| files.newest != Some(*file)).collect()
    }

    /// Waits until something changes, but not longer than that.
    pub fn wait(&self, timeout: Duration) {
        let _ = self.changed.wait_timeout(self.files(), timeout);
    }

    /// Leaves the device to commits for as long as background work was busy with it, unless a commit waits for a file.
    pub fn leave_device(&self, busy: Duration) {
        let has_time = |files: &mut Files| !files.is_awaited;
        let _ = self.changed.wait_timeout_while(self.files(), busy.min(MAX_PAUSE), has_time);
    }

    /// Wakes whoever waits for a change.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    /// Reads all commits of a sealed file in order, and returns the sequence of the last one.
    ///
    /// # Errors
    /// Those of the disk, and `InvalidData` when a frame is damaged, or the file ends before the commits that went to it.
    pub fn read_file(&self, file: LiveFile, each: &mut dyn FnMut(Vec<Write>)) -> io::Result<u64> {
        let handle = self.handle(file.index);
        let mut walk = self.layout.walk(&*handle, file.number, self.layout.unit as u64);
        let mut last = file.after;
        while let Some(frame) = walk.next()? {
            let effects =
                frame.effects.filter(|_| frame.header.previous == last).ok_or_else(|| damaged(file, frame.offset))?;
            last = frame.header.sequence;
            each(effects);
        }
        match self.last_of(file) {
            Some(end) if end != last => Err(damaged(file, walk.offset())),
            _ => Ok(last),
        }
    }

    /// The sequence of the last commit in a sealed file; `None` when it was freed.
    fn last_of(&self, file: LiveFile) -> Option<u64> {
        let files = self.files();
        let at = files.manifest.live.iter().position(|live| *live == file)?;
        // Commits begin the next file before they go anywhere else.
        Some(files.manifest.live.get(at + 1).map_or_else(|| self.durable(), |next| next.after))
    }

    /// The effects of one commit; `None` when the place holds another one by now.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn read(&self, position: Position) -> io::Result<Option<Vec<Write>>> {
        let handle = self.handle(position.index);
        let mut walk = self.layout.walk(&*handle, position.number, position.offset);
        let frame = walk.next()?.filter(|frame| frame.header.sequence == position.sequence);
        Ok(frame.and_then(|frame| frame.effects))
    }

    /// Frees the oldest files: the tables have everything up to `applied`.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn free(&self, freed: &[LiveFile], applied: u64) -> io::Result<()> {
        let mut files = self.files();
        files.manifest.applied = applied;
        // No file may be left that says how far the log reaches.
        files.manifest.reached = files.manifest.reached.max(applied);
        files.manifest.live.retain(|file| !freed.contains(file));
        files.write_manifest()?;
        files.free.splice(0..0, freed.iter().map(|file| file.index));
        self.changed.notify_all();
        Ok(())
    }
}

impl Files {
    fn write_manifest(&mut self) -> io::Result<()> {
        self.manifest_file.write(&self.manifest)
    }
}

fn damaged(file: LiveFile, offset: u64) -> io::Error {
    let name = file_name(file.index);
    io::Error::new(io::ErrorKind::InvalidData, format!("{name}: the frame at byte {offset} is damaged"))
}
