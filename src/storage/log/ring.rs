//! The ring of log files: commits go to the newest, the oldest are freed once the tables have what is in them.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::block::BlockBuffer;
use super::disk::{Disk, DiskFile};
use super::file_header::FileHeader;
use super::files::Files;
use super::frame::{HEADER_BYTES, Payload, span};
use super::manifest::{LiveFile, Manifest, ManifestFile};
use super::under_way::UnderWay;
use super::walk::Layout;
use crate::process::fail_point;
use crate::storage::record::Write;

/// The longest pause of background work at a time.
const MAX_PAUSE: Duration = Duration::from_millis(100);
/// The time for which a commit waits for a file that is being made until the log counts as full.
const FILE_TIMEOUT: Duration = Duration::from_secs(1);

/// The sizes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of a file.
    pub file_bytes: u64,
    /// The most files.
    pub max_files: u16,
    /// The free bytes on the disk that compaction of the tables leaves.
    pub min_free: u64,
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

/// A log that is open for commits.
pub struct Ring {
    disk: Box<dyn Disk>,
    layout: Layout,
    handles: RwLock<Vec<Arc<dyn DiskFile>>>,
    cursor: Mutex<Cursor>,
    /// Never held while the disk is read or written.
    files: Mutex<Files>,
    /// Held by whoever changes the manifest, from before it is written until `files` has what was written.
    manifest_file: Mutex<ManifestFile>,
    /// Signalled when `files` changes.
    changed: Condvar,
    /// What `files` says of room for commits: every command that writes asks.
    has_room: AtomicBool,
    /// The sequence of the last commit that is durable.
    durable: AtomicU64,
    /// A commit, with its wait for a file.
    writing: UnderWay,
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
        let layout = manifest.layout();
        let sequence = manifest.reached;
        let cursor = Cursor { file: None, offset: 0, sequence, buffer: BlockBuffer::default() };
        let files = Files::new(manifest, sizes.max_files);
        Ring {
            disk,
            layout,
            handles: RwLock::new(handles),
            cursor: Mutex::new(cursor),
            has_room: AtomicBool::new(files.has_room()),
            files: Mutex::new(files),
            manifest_file: Mutex::new(manifest_file),
            changed: Condvar::new(),
            durable: AtomicU64::new(sequence),
            writing: UnderWay::default(),
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
        self.writing.begin();
        let file = match cursor.file.filter(|_| cursor.offset + span <= self.layout.file_bytes) {
            Some(file) => file,
            None => self.begin_file(&mut cursor)?,
        };
        let (offset, previous) = (cursor.offset, cursor.sequence);
        let header = payload.header(self.layout.place(file.number, offset), sequence, previous);
        let units = cursor.buffer.fill(&[&header, payload.bytes()], self.layout.unit);
        fail_point::stall("log_write");
        self.handle(file.index).write_at(units, offset)?;
        self.writing.end();
        cursor.offset += span;
        cursor.sequence = sequence;
        self.durable.store(sequence, Ordering::Release);
        Ok(Some(Position { index: file.index, number: file.number, offset, sequence }))
    }

    /// The time that the commit under way has taken so far, its wait for a file included; `None` while there is none.
    pub fn write_time(&self) -> Option<Duration> {
        self.writing.time()
    }

    /// Seals the newest file, if it has frames, and begins another one when the next commit comes.
    pub fn seal(&self) {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner).file = None;
        self.files().newest = None;
        self.changed.notify_all();
    }

    fn begin_file(&self, cursor: &mut Cursor) -> io::Result<LiveFile> {
        let index = self.take_free();
        let number = self.files().manifest.next_number;
        let file = LiveFile { index, number, after: cursor.sequence };
        let header = FileHeader { ring: self.layout.ring, index, number, file_bytes: self.layout.file_bytes };
        fail_point::stall("log_header");
        self.handle(index).write_at(cursor.buffer.fill(&[&header.encode()], self.layout.unit), 0)?;
        let change = |manifest: &mut Manifest| {
            manifest.next_number += 1;
            manifest.live.push(file);
            manifest.reached = cursor.sequence;
        };
        // At once with the change: no moment at which the file is listed and seems to be sealed.
        self.change(change, |files| files.newest = Some(file))?;
        cursor.file = Some(file);
        cursor.offset = self.layout.unit as u64;
        Ok(file)
    }

    /// Takes a free file, once there is one.
    fn take_free(&self) -> u16 {
        let began = Instant::now();
        let mut files = self.files();
        // What was written so far can go to the tables, which may be what frees a file.
        files.newest = None;
        self.changed.notify_all();
        let index = loop {
            match files.free.pop() {
                Some(index) => break index,
                None => {
                    files.is_awaited = true;
                    files = self.changed.wait_timeout(files, FILE_TIMEOUT).unwrap_or_else(PoisonError::into_inner).0;
                    files.is_late = began.elapsed() >= FILE_TIMEOUT;
                    self.note_room(&files);
                }
            }
        };
        files.is_awaited = false;
        files.is_late = false;
        self.note_room(&files);
        // The next file is made while this one is filled.
        self.changed.notify_all();
        index
    }

    /// Changes the manifest: durably first, and then for everybody. Only others that change it wait for the disk, too.
    fn change(&self, change: impl FnOnce(&mut Manifest), publish: impl FnOnce(&mut Files)) -> io::Result<()> {
        let mut file = self.manifest_file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut manifest = self.files().manifest.clone();
        change(&mut manifest);
        fail_point::stall("manifest");
        file.write(&manifest)?;
        let mut files = self.files();
        files.manifest = manifest;
        publish(&mut files);
        self.note_room(&files);
        self.changed.notify_all();
        Ok(())
    }

    fn note_room(&self, files: &Files) {
        let has_room = files.has_room();
        if self.has_room.swap(has_room, Ordering::Release) != has_room {
            match has_room {
                true => tracing::info!("the log has room again"),
                false => tracing::warn!("the log is full: writes are refused until a file of it is free"),
            }
        }
    }

    /// True when a file is free for the commits to come, or is made in time.
    pub fn has_room(&self) -> bool {
        self.has_room.load(Ordering::Acquire)
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
        let durable = self.durable();
        if self.files().manifest.reached >= durable {
            return Ok(None);
        }
        self.change(|manifest| manifest.reached = manifest.reached.max(durable), |_| ())?;
        Ok(Some(durable))
    }

    /// Waits until no file is free and there may be more; false when it is to stop.
    pub fn wait_for_need(&self, stops: &AtomicBool) -> bool {
        let is_content = |files: &mut Files| !files.needs_another() && !stops.load(Ordering::Acquire);
        drop(self.changed.wait_while(self.files(), is_content));
        !stops.load(Ordering::Acquire)
    }

    /// Makes one more file. One thread does so.
    ///
    /// # Errors
    /// Those of the disk; the ring stays as it is.
    pub fn make_file(&self) -> io::Result<()> {
        let index = self.files().manifest.files;
        let made = self.make_file_at(index);
        let mut files = self.files();
        files.cannot_grow = made.is_err();
        self.note_room(&files);
        made
    }

    fn make_file_at(&self, index: u16) -> io::Result<()> {
        fail_point::stall("prepare");
        let mut pause = |busy: Duration| self.leave_device(busy);
        let file = self.disk.create(&file_name(index), self.layout.file_bytes, &mut pause)?;
        let add = |files: &mut Files| {
            self.handles.write().unwrap_or_else(PoisonError::into_inner).push(Arc::from(file));
            files.free.push(index);
        };
        self.change(|manifest| manifest.files += 1, add)
    }

    /// The sealed files, from the oldest on.
    pub fn sealed(&self) -> Vec<LiveFile> {
        self.files().sealed()
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
        // Not between a waiter's look at what it waits for and its wait.
        drop(self.files());
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
        let change = |manifest: &mut Manifest| {
            manifest.applied = applied;
            // No file may be left that says how far the log reaches.
            manifest.reached = manifest.reached.max(applied);
            manifest.live.retain(|file| !freed.contains(file));
        };
        self.change(change, |files| drop(files.free.splice(0..0, freed.iter().map(|file| file.index))))
    }
}

fn damaged(file: LiveFile, offset: u64) -> io::Error {
    let name = file_name(file.index);
    io::Error::new(io::ErrorKind::InvalidData, format!("{name}: the frame at byte {offset} is damaged"))
}
