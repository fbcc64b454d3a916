//! Finds out what is in a log, without changing anything: where it ends, or that it is damaged.
//!
//! The rule. One write is under way at a time, so after a crash at most one frame is torn, and it is the last one: it was
//! never acknowledged. Any other frame that cannot be read is damage. The two are told apart like this: from the first
//! commit that the tables lack, frames are followed in sequence, file by file in the order of the manifest. Where no
//! frame follows is the end. It is damage, not the end, if a later file goes on, if a good frame with a greater sequence
//! lies at any unit behind it, or if the manifest or the tables, which lie elsewhere, have seen a greater sequence.
//! Frames fit their own file, number and offset only, so those of an earlier lap do not count. Tables that are older than
//! the manifest says, and a file that is missing, foreign or at the wrong place, are damage, too.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::file_header::FileHeader;
use super::frame::FrameHeader;
use super::manifest::{LiveFile, MAX_FILES, Manifest};
use super::mark::Mark;
use super::ring::{Position, file_index, file_name};
use crate::error::{Error, Result};
use crate::storage::record::Write;

/// Hands on the effects of a commit and where it lies.
pub type Each<'a> = dyn FnMut(Position, Vec<Write>) + 'a;

/// A file of a log.
pub struct LogFile {
    /// The file; `None` when it cannot be opened or has not the size of a log file.
    pub handle: Option<Arc<dyn DiskFile>>,
    header: Option<FileHeader>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A log that is there.
pub struct Existing {
    /// Its manifest. It may name fewer files than there are, when it is an old one.
    pub manifest: Manifest,
    /// Its files, in the order of their positions.
    pub files: Vec<LogFile>,
}

/// The first place where no frame follows.
pub struct Stop {
    /// The file.
    pub file: LiveFile,
    /// The offset in it, in bytes.
    pub offset: u64,
    /// The header of a frame whose payload is damaged.
    pub torn: Option<FrameHeader>,
}

/// What was found.
pub struct Survey {
    /// The last commit that is there: in the tables, or in the log without a gap before it.
    pub last: u64,
    /// The files that hold commits up to that one which the tables lack.
    pub live: Vec<LiveFile>,
    /// The files that were begun after those.
    pub dropped: Vec<LiveFile>,
    /// The number that the next file gets.
    pub next_number: u64,
    /// Where the log ends, unless it ends with a whole file.
    pub stop: Option<Stop>,
    /// Why the log cannot be used.
    pub damage: Option<Damage>,
}

/// A damage of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong, and where.
    pub what: String,
    /// Commits that are known to have been made after the last one that is there.
    pub lost: u64,
    /// How many of them can still be read.
    pub readable: u64,
    /// False when there may have been more of them.
    pub is_exact: bool,
}

impl Damage {
    /// The error with which a start is refused.
    pub fn error(&self) -> Error {
        let least = if self.is_exact { "" } else { "at least " };
        let Damage { what, lost, readable, .. } = self;
        refused(&format!(
            "the log is damaged: {what}; {least}{lost} commits are behind it, {readable} of them readable"
        ))
    }
}

/// What is wrong, and whether all commits that were lost by it are known.
type Trouble = Option<(String, bool)>;

/// The frames of a few files, followed.
struct Followed {
    last: u64,
    /// How many of the files were followed.
    files: usize,
    stop: Option<Stop>,
    trouble: Trouble,
}

impl Existing {
    /// Opens the files of a log.
    ///
    /// # Errors
    /// [`Error::Internal`] when the directory cannot be listed, or the manifest is not one of this disk.
    pub fn open(disk: &dyn Disk, mut manifest: Manifest) -> Result<Self> {
        let unit = manifest.unit as usize;
        if unit == 0 || !unit.is_multiple_of(disk.unit()) {
            let text = format!("the log was written in units of {unit} bytes, this disk has {}", disk.unit());
            return Err(refused(&text));
        }
        let names = disk.names().map_err(|error| fault("cannot list the log's files", &error))?;
        let beyond = names
            .iter()
            .filter_map(|name| file_index(name))
            .filter(|index| usize::from(*index) < MAX_FILES)
            .max()
            .map_or(0, |index| index + 1);
        let mut files: Vec<_> =
            (0..manifest.files.max(beyond)).map(|index| LogFile::open(disk, &manifest, index)).collect();
        // A file that was just made, or not made to its end, is none yet. One that was used says that the manifest is old.
        let used = files.iter().rposition(|file| file.header.is_some()).map_or(0, |index| index + 1);
        files.truncate(used.max(usize::from(manifest.files)));
        manifest.files = files.len() as u16; // from a u16
        Ok(Existing { manifest, files })
    }

    /// Finds the end of the log, or damage. Calls `each` with every commit that the tables lack, in order.
    ///
    /// # Errors
    /// [`Error::Internal`] when the disk fails.
    pub fn survey(&self, mark: Option<Mark>, each: &mut Each<'_>) -> Result<Survey> {
        let applied = mark.map_or(0, |mark| mark.applied);
        let live = self.live_files()?;
        let needed = &live[live.iter().rposition(|file| file.after <= applied).unwrap_or(0)..];
        let followed = match self.first_trouble(mark, needed.first()) {
            Some(trouble) => Followed { last: applied, files: 0, stop: None, trouble: Some(trouble) },
            None => self.follow(needed, applied, each)?,
        };
        let trouble = match &followed.trouble {
            Some(trouble) => Some(trouble.clone()),
            None => self.trouble_at_end(&followed, mark)?,
        };
        let Followed { last, files, stop, .. } = followed;
        let trouble = trouble.or_else(|| Some((self.files.iter().find_map(|file| file.problem.clone())?, true)));
        let last = last.max(applied);
        let damage = match trouble {
            Some((what, is_exact)) => Some(self.damage(what, is_exact, last, &live, mark)?),
            None => None,
        };
        let numbers = self.files.iter().filter_map(|file| file.header.map(|header| header.number + 1));
        let next_number = numbers.chain([self.manifest.next_number]).max().unwrap_or_default();
        let (live, dropped) = needed.split_at(if last > applied { files } else { 0 });
        Ok(Survey { last, live: live.to_vec(), dropped: dropped.to_vec(), next_number, stop, damage })
    }

    /// The files of the manifest, and those begun after it was written: a slot of it may be lost.
    fn live_files(&self) -> Result<Vec<LiveFile>> {
        let mut live = self.manifest.live.clone();
        let headers = self.files.iter().filter_map(|file| file.header);
        let mut later: Vec<_> = headers.filter(|header| header.number >= self.manifest.next_number).collect();
        later.sort_unstable_by_key(|header| header.number);
        for FileHeader { index, number, .. } in later {
            let mut first = None;
            self.search(index, number, self.unit(), &mut |header, _| {
                first.get_or_insert(header.previous);
                true
            })?;
            live.extend(first.map(|after| LiveFile { index, number, after }));
        }
        Ok(live)
    }

    fn unit(&self) -> u64 {
        u64::from(self.manifest.unit)
    }

    fn file(&self, index: u16) -> Option<&LogFile> {
        self.files.get(usize::from(index))
    }

    /// Looks at every unit of a file from an offset on for a frame, until `each` returns true. It takes a header, and
    /// whether the payload can be read.
    fn search(
        &self,
        index: u16,
        number: u64,
        from: u64,
        each: &mut dyn FnMut(FrameHeader, bool) -> bool,
    ) -> Result<()> {
        let Some(handle) = self.file(index).and_then(|file| file.handle.as_deref()) else { return Ok(()) };
        let mut offset = from;
        while offset < self.manifest.file_bytes {
            let frame = self.manifest.layout().walk(handle, number, offset).next().map_err(|error| unread(&error))?;
            if frame.is_some_and(|frame| each(frame.header, frame.effects.is_some())) {
                return Ok(());
            }
            offset += self.unit();
        }
        Ok(())
    }

    /// What is wrong before any frame is read.
    fn first_trouble(&self, mark: Option<Mark>, first: Option<&LiveFile>) -> Option<(String, bool)> {
        let applied = mark.map_or(0, |mark| mark.applied);
        if mark.is_some_and(|mark| mark.ring != self.manifest.ring) {
            return Some(("the tables and the log's manifest are not of the same log".into(), false));
        }
        if applied < self.manifest.applied {
            let text = format!("the tables have commits up to {applied}, but had them up to {}", self.manifest.applied);
            return Some((text, true));
        }
        let first = first.filter(|first| first.after > applied)?;
        Some((format!("the log begins with commit {}, the tables end with {applied}", first.after + 1), true))
    }

    /// Follows the frames of all files, and hands on the effects that the tables lack.
    fn follow(&self, files: &[LiveFile], applied: u64, each: &mut Each<'_>) -> Result<Followed> {
        let last = files.first().map_or(applied, |file| file.after);
        let mut followed = Followed { last, files: 0, stop: None, trouble: None };
        for file in files {
            let name = file_name(file.index);
            let found = self.file(file.index);
            let fits = found.and_then(|file| file.header).is_some_and(|header| header.number == file.number);
            let Some(handle) = found.and_then(|file| file.handle.as_deref()).filter(|_| fits) else {
                let text = found.and_then(|file| file.problem.clone());
                let text =
                    text.unwrap_or_else(|| format!("{name} of the log has not the header of file {}", file.number));
                followed.trouble = Some((text, true));
                break;
            };
            if file.after != followed.last {
                followed.trouble = Some((gap(followed.stop.as_ref(), followed.last), true));
                break;
            }
            let mut walk = self.manifest.layout().walk(handle, file.number, self.unit());
            followed.files += 1;
            followed.stop = loop {
                let offset = walk.offset();
                let frame = walk.next().map_err(|error| unread(&error))?;
                let Some(frame) = frame else { break Some(Stop { file: *file, offset, torn: None }) };
                let Some(effects) = frame.effects.filter(|_| frame.header.previous == followed.last) else {
                    break Some(Stop { file: *file, offset, torn: Some(frame.header) });
                };
                followed.last = frame.header.sequence;
                if followed.last > applied {
                    let sequence = followed.last;
                    each(Position { index: file.index, number: file.number, offset, sequence }, effects);
                }
            };
        }
        Ok(followed)
    }

    /// What shows that the log went on behind its end.
    fn trouble_at_end(&self, followed: &Followed, mark: Option<Mark>) -> Result<Trouble> {
        let Followed { last, files, ref stop, .. } = *followed;
        let mut goes_on = last.max(mark.map_or(0, |mark| mark.applied)) < self.manifest.reached;
        if let Some(Stop { file, offset, torn }) = stop.as_ref().filter(|_| !goes_on) {
            // A torn commit is the one after the last: its header says so, and its place made sure of the rest.
            goes_on = torn.is_some_and(|torn| torn.sequence != last + 1);
            self.search(file.index, file.number, offset + self.unit(), &mut |header, _| {
                goes_on |= header.sequence > last;
                goes_on
            })?;
        }
        if goes_on {
            return Ok(Some((gap(stop.as_ref(), last), true)));
        }
        let end = self.manifest.reached.max(if files > 0 { last } else { 0 });
        let newer = mark.filter(|mark| end < mark.reached && self.manifest.given_up < mark.reached);
        Ok(newer.map(|mark| {
            let reached = mark.reached;
            (
                format!(
                    "it ends with commit {end}, but had {reached} when the tables were written: it is an older copy"
                ),
                false,
            )
        }))
    }

    /// Counts the commits behind the last one, in all files.
    fn damage(&self, what: String, is_exact: bool, last: u64, live: &[LiveFile], mark: Option<Mark>) -> Result<Damage> {
        let after = live.iter().map(|file| file.after).max().unwrap_or_default();
        let mut seen = after.max(self.manifest.reached).max(mark.map_or(0, |mark| mark.reached));
        let mut readable = BTreeSet::new();
        let headers = self.files.iter().filter_map(|file| file.header.map(|header| (header.index, header.number)));
        let numbers: BTreeSet<_> = headers.chain(live.iter().map(|file| (file.index, file.number))).collect();
        for (index, number) in numbers {
            self.search(index, number, self.unit(), &mut |header, is_whole| {
                seen = seen.max(header.sequence);
                if is_whole && header.sequence > last {
                    readable.insert(header.sequence);
                }
                false
            })?;
        }
        Ok(Damage { what, lost: seen.saturating_sub(last), readable: readable.len() as u64, is_exact })
    }
}

impl LogFile {
    /// Opens a file and reads its header.
    fn open(disk: &dyn Disk, manifest: &Manifest, index: u16) -> Self {
        let name = file_name(index);
        let unusable = |text: String| LogFile { handle: None, header: None, problem: Some(text) };
        let read = || -> io::Result<_> {
            let file = disk.open(&name)?;
            let length = file.length()?;
            let mut first = vec![0; manifest.unit as usize];
            if length == manifest.file_bytes {
                file.read_at(&mut first, 0)?;
            }
            Ok((file, length, FileHeader::decode(&first)))
        };
        let (file, length, header) = match read() {
            Ok(read) => read,
            Err(error) => return unusable(format!("cannot open {name} of the log: {error}")),
        };
        if length != manifest.file_bytes {
            return unusable(format!("{name} of the log has {length} bytes instead of {}", manifest.file_bytes));
        }
        let problem = match header {
            Some(header) if header.ring != manifest.ring => Some(format!("{name} is of another log")),
            Some(header) if header.index != index => {
                Some(format!("{name} of the log is {}, moved", file_name(header.index)))
            }
            _ => None,
        };
        LogFile { handle: Some(Arc::from(file)), header: header.filter(|_| problem.is_none()), problem }
    }
}

/// Says where a commit should be.
fn gap(stop: Option<&Stop>, last: u64) -> String {
    match stop {
        Some(stop) => {
            format!("{} at byte {} should have commit {}", file_name(stop.file.index), stop.offset, last + 1)
        }
        None => format!("commit {} is missing", last + 1),
    }
}

fn unread(error: &io::Error) -> Error {
    fault("cannot read the log", error)
}

/// The error of a disk that fails.
pub fn fault(what: &str, error: &io::Error) -> Error {
    Error::Internal(format!("{what}: {error}"))
}

/// The error of a log that cannot be used.
pub fn refused(text: &str) -> Error {
    Error::Internal(text.to_owned())
}
