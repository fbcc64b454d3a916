//! Opens a log: finds every commit that was acknowledged, or refuses to start.
//!
//! The rule. One write is under way at a time, so after a crash at most one frame is torn, and it is the last one: it was
//! never acknowledged. Any other frame that cannot be read is damage. The two are told apart like this: from the first
//! commit that the tables lack, frames are followed in sequence, file by file in the order of the manifest. Where no
//! frame follows is the end. It is damage, not the end, if a later file of the manifest goes on, if a good frame with a
//! greater sequence lies at any unit behind it, or if the manifest, which lies elsewhere and is written when the log is
//! idle, has seen a greater sequence. Frames fit their own file, number and offset only, so those of an earlier lap do
//! not count.

use std::io;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::disk::{Disk, DiskFile};
use super::file_header::FileHeader;
use super::frame::FrameHeader;
use super::manifest::{LiveFile, MANIFEST, Manifest, ManifestFile};
use super::ring::{Position, Ring, Sizes, file_name};
use super::walk::FrameWalk;
use crate::error::{Error, Result};
use crate::storage::record::Write;

/// The number of the first file.
const FIRST_NUMBER: u64 = 1;

/// Hands on the effects of a commit and where it lies.
pub type Each<'a> = dyn FnMut(Position, Vec<Write>) + 'a;

/// Opens the log on a disk, or makes it where nothing is. Calls `each` with every commit that the tables lack, in
/// order.
///
/// # Errors
/// [`Error::Internal`] that names file, offset and sequence when something is missing or damaged.
pub fn open(disk: Box<dyn Disk>, sizes: Sizes, applied: u64, each: &mut Each<'_>) -> Result<Ring> {
    let names = disk.names().map_err(|error| fault("cannot list the log's files", &error))?;
    if !names.iter().any(|name| name == MANIFEST) {
        return create(disk, sizes, applied, &names);
    }
    let (mut manifest_file, manifest) =
        ManifestFile::open(&*disk).map_err(|error| fault("cannot read the log's manifest", &error))?;
    let manifest = manifest.ok_or_else(|| refused("the log's manifest is damaged"))?;
    let sizes = Sizes { file_bytes: manifest.file_bytes, ..sizes };
    if !(manifest.unit as usize).is_multiple_of(disk.unit()) {
        return Err(refused(&format!(
            "the log was written in units of {} bytes, this disk has {}",
            manifest.unit,
            disk.unit()
        )));
    }
    let log = Existing { files: open_files(&*disk, &manifest)?, disk: &*disk, manifest: &manifest };
    let end = log.recover(applied, each)?;
    let manifest = Manifest {
        reached: end.sequence,
        live: end.live,
        next_number: end.next_number,
        applied: manifest.applied,
        ..manifest
    };
    manifest_file.write(&manifest).map_err(|error| fault("cannot write the log's manifest", &error))?;
    let handles = log.files.into_iter().map(|(handle, _)| handle).collect();
    Ok(Ring::new(disk, sizes, handles, manifest, manifest_file))
}

fn create(disk: Box<dyn Disk>, sizes: Sizes, applied: u64, names: &[String]) -> Result<Ring> {
    let failed = |error: io::Error| fault("cannot make the log", &error);
    // A first start that was interrupted leaves files of zeros.
    let is_used = |name: &String| {
        let Ok(file) = disk.open(name) else { return true };
        let mut first = vec![0; disk.unit()];
        file.read_at(&mut first, 0).is_ok() && first.iter().any(|byte| *byte != 0)
    };
    let is_log = |name: &&String| Path::new(name.as_str()).extension().is_some_and(|extension| extension == "log");
    if applied > 0 || names.iter().filter(is_log).any(is_used) {
        return Err(refused("the log's manifest is missing, but the log or the tables are there"));
    }
    let manifest = Manifest {
        ring: Uuid::new_v4(),
        unit: u32::try_from(disk.unit()).map_err(|_| refused("the disk's unit is too large"))?,
        file_bytes: sizes.file_bytes,
        files: 1,
        applied: 0,
        next_number: FIRST_NUMBER,
        reached: 0,
        live: Vec::new(),
    };
    let file = disk.create(&file_name(0), sizes.file_bytes, &mut |_| ()).map_err(failed)?;
    let manifest_file = ManifestFile::create(&*disk, &manifest).map_err(failed)?;
    Ok(Ring::new(disk, sizes, vec![Arc::from(file)], manifest, manifest_file))
}

type OpenFile = (Arc<dyn DiskFile>, Option<FileHeader>);

/// Opens every file that the manifest says is there, and reads its header.
fn open_files(disk: &dyn Disk, manifest: &Manifest) -> Result<Vec<OpenFile>> {
    let open = |index: u16| {
        let name = file_name(index);
        let failed = |error: io::Error| fault(&format!("cannot open {name} of the log"), &error);
        let file = disk.open(&name).map_err(failed)?;
        let length = file.length().map_err(failed)?;
        if length != manifest.file_bytes {
            return Err(refused(&format!("{name} of the log has {length} bytes instead of {}", manifest.file_bytes)));
        }
        let mut first = vec![0; manifest.unit as usize];
        file.read_at(&mut first, 0).map_err(failed)?;
        let header = FileHeader::decode(&first).filter(|header| header.ring == manifest.ring && header.index == index);
        // What a killed process wrote may not be on the device yet, and is about to count.
        file.sync().map_err(failed)?;
        Ok((Arc::from(file), header))
    };
    (0..manifest.files).map(open).collect()
}

/// A log that was there.
struct Existing<'a> {
    disk: &'a dyn Disk,
    manifest: &'a Manifest,
    files: Vec<OpenFile>,
}

/// The end of a log.
struct End {
    sequence: u64,
    /// The files that hold commits which the tables lack.
    live: Vec<LiveFile>,
    next_number: u64,
}

/// The first place where no frame follows.
struct Stop {
    file: LiveFile,
    offset: u64,
    /// The header of a frame whose payload is damaged.
    torn: Option<FrameHeader>,
}

impl Existing<'_> {
    /// Finds every commit that the tables lack.
    fn recover(&self, applied: u64, each: &mut Each<'_>) -> Result<End> {
        if applied < self.manifest.applied {
            return Err(refused(&format!(
                "the tables have commits up to {applied}, but had them up to {}: a part of the store is missing",
                self.manifest.applied
            )));
        }
        let live = self.live_files();
        let first_needed = live.iter().rposition(|file| file.after <= applied).unwrap_or(0);
        let needed = &live[first_needed..];
        if let Some(first) = needed.first().filter(|first| first.after > applied) {
            return Err(refused(&format!(
                "the log begins with commit {}, the tables end with {applied}: a part of the store is missing",
                first.after + 1
            )));
        }
        let (sequence, stop) = self.walk(needed, applied, each)?;
        self.check_end(sequence, stop.as_ref())?;
        if let Some(stop) = stop {
            self.clear_torn(sequence, &stop)?;
        }
        let numbers = self.files.iter().filter_map(|(_, header)| header.map(|header| header.number + 1));
        let next_number = numbers.chain([self.manifest.next_number]).max().unwrap_or(FIRST_NUMBER);
        let live = if sequence > applied { needed.to_vec() } else { Vec::new() };
        Ok(End { sequence, live, next_number })
    }

    /// The files of the manifest, and those begun after it was written: a slot of it may be lost.
    fn live_files(&self) -> Vec<LiveFile> {
        let mut live = self.manifest.live.clone();
        let mut later: Vec<_> = (0..self.manifest.files)
            .filter_map(|index| Some((self.header(index)?.number, index)))
            .filter(|(number, _)| *number >= self.manifest.next_number)
            .collect();
        later.sort_unstable();
        for (number, index) in later {
            let after = self.first_frame(index, number).map_or(u64::MAX, |frame| frame.previous);
            live.push(LiveFile { index, number, after });
        }
        live.retain(|file| file.after != u64::MAX);
        live
    }

    fn header(&self, index: u16) -> Option<FileHeader> {
        self.files.get(usize::from(index)).and_then(|(_, header)| *header)
    }

    fn walk_of(&self, index: u16, number: u64, offset: u64) -> FrameWalk<'_> {
        let (handle, _) = &self.files[usize::from(index)];
        self.manifest.layout().walk(&**handle, number, offset)
    }

    fn first_frame(&self, index: u16, number: u64) -> Option<FrameHeader> {
        let found = self.walk_of(index, number, u64::from(self.manifest.unit)).next();
        found.ok().flatten().map(|frame| frame.header)
    }

    /// Follows the frames of all files, and hands on the effects that the tables lack. Returns the last sequence and the
    /// place where no frame follows.
    fn walk(&self, files: &[LiveFile], applied: u64, each: &mut Each<'_>) -> Result<(u64, Option<Stop>)> {
        let mut last = files.first().map_or(applied, |file| file.after);
        let mut stop = None;
        for file in files {
            if self.header(file.index).is_none_or(|header| header.number != file.number) {
                let name = file_name(file.index);
                return Err(refused(&format!("{name} of the log has not the header of file {}", file.number)));
            }
            if file.after != last {
                return Err(damage(stop.as_ref(), last, file.after));
            }
            let mut walk = self.walk_of(file.index, file.number, u64::from(self.manifest.unit));
            stop = loop {
                let offset = walk.offset();
                let frame = walk.next().map_err(|error| fault("cannot read the log", &error))?;
                let Some(frame) = frame else { break Some(Stop { file: *file, offset, torn: None }) };
                let Some(effects) = frame.effects.filter(|_| frame.header.previous == last) else {
                    break Some(Stop { file: *file, offset, torn: Some(frame.header) });
                };
                last = frame.header.sequence;
                if last > applied {
                    each(Position { index: file.index, number: file.number, offset, sequence: last }, effects);
                }
            };
        }
        Ok((last.max(applied), stop))
    }

    /// Refuses an end behind which the log went on.
    fn check_end(&self, sequence: u64, stop: Option<&Stop>) -> Result<()> {
        if sequence < self.manifest.reached {
            return Err(damage(stop, sequence, self.manifest.reached));
        }
        let Some(Stop { file, offset, torn }) = stop else { return Ok(()) };
        // A torn commit is the one after the last: its header says so, and its place made sure of the rest.
        if let Some(torn) = torn.filter(|torn| torn.sequence != sequence + 1) {
            return Err(damage(stop, sequence, torn.sequence));
        }
        let unit = u64::from(self.manifest.unit);
        let mut behind = offset + unit;
        while behind + unit <= self.manifest.file_bytes {
            let found = self.walk_of(file.index, file.number, behind).next();
            let found = found.map_err(|error| fault("cannot read the log", &error))?;
            if let Some(frame) = found.filter(|frame| frame.header.sequence > sequence) {
                return Err(damage(stop, sequence, frame.header.sequence));
            }
            behind += unit;
        }
        Ok(())
    }

    /// Clears a frame that was never acknowledged; its bytes are kept in a file of their own.
    fn clear_torn(&self, sequence: u64, stop: &Stop) -> Result<()> {
        let Some(header) = stop.torn else { return Ok(()) };
        let failed = |error: io::Error| fault("cannot clear a torn commit", &error);
        let (handle, _) = &self.files[usize::from(stop.file.index)];
        let span = header.span(self.manifest.unit as usize).min(self.manifest.file_bytes - stop.offset);
        let mut bytes = vec![0; usize::try_from(span).unwrap_or_default()];
        handle.read_at(&mut bytes, stop.offset).map_err(failed)?;
        let name = format!("torn-{}", sequence + 1);
        if let Err(error) = self.disk.save(&name, &bytes) {
            tracing::warn!(%error, "the bytes of a torn commit cannot be saved");
        }
        tracing::warn!(
            file = file_name(stop.file.index),
            offset = stop.offset,
            saved = name,
            "the last commit was torn and never acknowledged: it is cleared"
        );
        let mut buffer = super::block::BlockBuffer::default();
        handle.write_at(buffer.fill(&[&[0]], self.manifest.unit as usize), stop.offset).map_err(failed)
    }
}

fn damage(stop: Option<&Stop>, sequence: u64, seen: u64) -> Error {
    let at = stop.map_or_else(String::new, |stop| format!("{} at byte {} ", file_name(stop.file.index), stop.offset));
    refused(&format!(
        "the log is damaged: {at}should have commit {}, and at least {} commits are behind it",
        sequence + 1,
        seen.saturating_sub(sequence)
    ))
}

fn refused(text: &str) -> Error {
    Error::Internal(text.to_owned())
}

fn fault(what: &str, error: &io::Error) -> Error {
    Error::Internal(format!("{what}: {error}"))
}
