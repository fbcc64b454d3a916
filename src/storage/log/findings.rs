//! What `shardcart repair` finds in a shard's data directory. Nothing there is changed.

use std::fmt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::disk::{Disk, LocalDisk};
use super::file_header::FileHeader;
use super::lost::GiveUp;
use super::manifest::{MANIFEST, Manifest, ManifestFile};
use super::mark::Mark;
use super::ring::{file_index, file_name};
use super::storage::{LOG_DIRECTORY, MAX_FILE_BYTES, TABLES_DIRECTORY};
use super::survey::{Existing, Survey};
use super::table_copy::TableCopy;
use super::table_files::{self, Depth};
use super::tables::Tables;
use crate::error::{Error, Result};
use crate::storage::codec;
use crate::storage::name::record_name;
use crate::storage::record::{COUNTER_KEY, Write, kind_of};

/// The most records that are named.
const MAX_NAMES: usize = 20;

/// What was found.
pub struct Findings {
    directory: PathBuf,
    tables: TableFindings,
    manifest: String,
    pub(super) log: Option<FoundLog>,
    /// What can be done.
    pub verdict: Verdict,
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing has to be done.
    Sound,
    /// The shard starts again if commits are given up.
    CanGiveUp(GiveUp),
    /// How much is lost cannot be told, for this reason.
    Lost(String),
}

/// A log that can be looked at.
pub(super) struct FoundLog {
    pub disk: LocalDisk,
    pub existing: Existing,
    pub survey: Survey,
}

/// What the tables hold.
#[derive(Default)]
struct TableFindings {
    mark: Option<Mark>,
    records: u64,
    versions: Versions,
    /// Records that cannot be decoded: how many, and the names of the first of them.
    undecoded: u64,
    names: Vec<String>,
    /// Why they cannot be read.
    error: Option<String>,
}

/// The counter of the last commit, and the newest version of a record: it is never above the counter.
#[derive(Default)]
struct Versions {
    counter: u64,
    newest: u64,
}

impl Versions {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key == COUNTER_KEY {
            let bytes = value.try_into().map_err(|_| Error::Internal("the counter is damaged".into()))?;
            self.counter = self.counter.max(u64::from_be_bytes(bytes));
        } else if let Some(kind) = kind_of(key) {
            self.newest = self.newest.max(codec::check(kind, value)?);
        }
        Ok(())
    }
}

/// Looks at a shard's data directory, which no process may use meanwhile.
///
/// # Errors
/// [`Error::Internal`] when it has no commit log, or cannot be read.
pub fn find(directory: &Path) -> Result<Findings> {
    let (log, tables) = (directory.join(LOG_DIRECTORY), directory.join(TABLES_DIRECTORY));
    if !log.exists() && !tables.exists() {
        return Err(Error::Internal(format!("{}: there is no commit log", directory.display())));
    }
    let tables = TableFindings::of(&tables);
    let mut findings = Findings {
        directory: directory.to_owned(),
        tables,
        manifest: String::new(),
        log: None,
        verdict: Verdict::Sound,
    };
    findings.look_at_log(&log)?;
    Ok(findings)
}

impl Findings {
    fn look_at_log(&mut self, directory: &Path) -> Result<()> {
        let disk = open_disk(directory)?;
        let manifest = match &disk {
            Some(disk) => read_manifest(disk),
            None => Err("the directory of the log is missing".into()),
        };
        let ring = self.tables.mark.map(|mark| mark.ring);
        // A manifest of another log is as good as none.
        let manifest = manifest.and_then(|manifest| match ring {
            Some(ring) if ring != manifest.ring => Err("the manifest is that of another log".into()),
            _ => Ok(manifest),
        });
        let (manifest, is_lost) = match manifest {
            Ok(manifest) => {
                self.manifest = format!(
                    "{} files; the tables have commits up to {}, the log reached {}",
                    manifest.files, manifest.applied, manifest.reached
                );
                (manifest, false)
            }
            Err(why) => {
                self.manifest = why;
                let rebuilt = disk.as_ref().and_then(|disk| rebuild(disk, self.tables.mark));
                let Some(manifest) = rebuilt else {
                    self.verdict = Verdict::Lost("the manifest of the log cannot be made anew".into());
                    return Ok(());
                };
                (manifest, true)
            }
        };
        let Some(disk) = disk else { return Ok(()) };
        let existing = Existing::open(&disk, manifest)?;
        let mut undecoded = None;
        let mark = self.tables.mark.or_else(|| self.tables.error.as_ref().map(|_| existing.manifest.assumed_mark()));
        let survey = existing.survey(mark, &mut |position, writes| {
            for write in &writes {
                if let Write::Put(record) = write
                    && self.tables.versions.take(record.key(), record.value()).is_err()
                {
                    undecoded.get_or_insert_with(|| {
                        format!("{} in commit {} cannot be decoded", record_name(record.key()), position.sequence)
                    });
                }
            }
        })?;
        self.verdict = self.judge(&survey, undecoded, is_lost);
        self.log = Some(FoundLog { disk, existing, survey });
        Ok(())
    }

    fn judge(&self, survey: &Survey, undecoded: Option<String>, is_manifest_lost: bool) -> Verdict {
        let TableFindings { undecoded: count, versions, error, .. } = &self.tables;
        if error.is_some() || *count > 0 {
            return Verdict::Lost("the tables are damaged".into());
        }
        if let Some(undecoded) = undecoded {
            return Verdict::Lost(undecoded);
        }
        if versions.newest > versions.counter {
            let Versions { counter, newest } = versions;
            return Verdict::Lost(format!("a record has version {newest}, but the last commit's counter is {counter}"));
        }
        let is_exact = survey.damage.as_ref().is_none_or(|damage| damage.is_exact) && !is_manifest_lost;
        match &survey.damage {
            None if is_exact => Verdict::Sound,
            _ if survey.last == 0 => Verdict::Lost("no commit would be left".into()),
            Some(damage) if is_exact => Verdict::CanGiveUp(GiveUp::Commits(damage.lost)),
            _ => Verdict::CanGiveUp(GiveUp::Unknown),
        }
    }

    /// The last commit that is there.
    pub(super) fn last(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.survey.last)
    }

    /// What the tables know of the log.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.tables.mark
    }
}

impl TableFindings {
    fn of(directory: &Path) -> Self {
        let mut found = TableFindings::default();
        if let Err(error) = found.read(directory) {
            found.error = Some(error.to_string());
        }
        found
    }

    fn read(&mut self, directory: &Path) -> Result<()> {
        if !directory.is_dir() {
            return Err(Error::Internal(format!("{} is missing", directory.display())));
        }
        table_files::check(directory, Depth::All)?;
        let copy = TableCopy::of(directory)?;
        let tables = Tables::open(copy.path(), 0)?;
        self.mark = tables.found_mark();
        tables.each(&mut |key, value| {
            self.records += 1;
            if let Err(error) = self.versions.take(key, value) {
                self.undecoded += 1;
                if self.names.len() < MAX_NAMES {
                    self.names.push(format!("{}: {error}", record_name(key)));
                }
            }
            Ok(())
        })
    }
}

/// Opens the directory of a log, if it has a file of one.
fn open_disk(directory: &Path) -> Result<Option<LocalDisk>> {
    let failed = |error: std::io::Error| Error::Internal(format!("cannot read {}: {error}", directory.display()));
    if !directory.is_dir() {
        return Ok(None);
    }
    let names =
        std::fs::read_dir(directory).map_err(failed)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let kept = names.filter(|name| name == MANIFEST || file_index(name).is_some()).max();
    kept.map(|kept| LocalDisk::open(directory, &kept).map_err(failed)).transpose()
}

fn read_manifest(disk: &LocalDisk) -> std::result::Result<Manifest, String> {
    match ManifestFile::open(disk) {
        Ok((_, Some(manifest))) => Ok(manifest),
        Ok((_, None)) => Err("the manifest is damaged, or of another format".into()),
        Err(error) => Err(format!("the manifest cannot be read: {error}")),
    }
}

/// Makes a manifest from the headers of the files and what the tables know. `None` when the files are of several logs, or
/// there are none.
fn rebuild(disk: &LocalDisk, mark: Option<Mark>) -> Option<Manifest> {
    let names = disk.names().ok()?;
    let header = |name: &String| {
        let file = disk.open(name).ok()?;
        let mut first = vec![0; disk.unit()];
        file.read_at(&mut first, 0).ok()?;
        FileHeader::decode(&first)
    };
    let headers: Vec<_> = names.iter().filter(|name| file_index(name).is_some()).filter_map(header).collect();
    let mut rings: Vec<Uuid> = headers.iter().map(|header| header.ring).chain(mark.map(|mark| mark.ring)).collect();
    rings.sort_unstable();
    rings.dedup();
    let [ring] = rings[..] else { return None };
    Some(Manifest {
        ring,
        unit: u32::try_from(disk.unit()).ok()?,
        file_bytes: headers.first().map_or(MAX_FILE_BYTES, |header| header.file_bytes),
        files: headers.iter().map(|header| header.index + 1).max().unwrap_or_default(),
        applied: mark.map_or(0, |mark| mark.applied),
        // Every file counts as begun after it was written.
        next_number: 0,
        reached: 0,
        given_up: 0,
        live: Vec::new(),
    })
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.display();
        writeln!(f, "{directory}")?;
        writeln!(f, "  manifest  {}", self.manifest)?;
        if let Some(FoundLog { survey, .. }) = &self.log {
            writeln!(f, "  log       everything is there up to commit {}", survey.last)?;
            if let Some(stop) = survey.stop.as_ref().filter(|stop| stop.torn.is_some() && survey.damage.is_none()) {
                let file = file_name(stop.file.index);
                writeln!(f, "            a torn commit at byte {} of {file} was never acknowledged", stop.offset)?;
            }
            if let Some(damage) = &survey.damage {
                writeln!(f, "  damage    {}", damage.what)?;
                let least = if damage.is_exact { "" } else { "at least " };
                writeln!(
                    f,
                    "            {least}{} commits are behind it, {} of them readable",
                    damage.lost, damage.readable
                )?;
            }
        }
        let TableFindings { records, undecoded, error, mark, .. } = &self.tables;
        match error {
            Some(error) => writeln!(f, "  tables    {error}")?,
            None => {
                let applied = mark.map_or(0, |mark| mark.applied);
                writeln!(f, "  tables    {records} records, commits up to {applied}; {undecoded} cannot be decoded")?;
            }
        }
        for name in &self.tables.names {
            writeln!(f, "            {name}")?;
        }
        match &self.verdict {
            Verdict::Sound => write!(f, "  result    sound"),
            Verdict::CanGiveUp(given_up) => {
                let last = self.last();
                write!(
                    f,
                    "  result    damaged. A backup is the better way. Or give up what came after commit {last}{}:\n\
                    \x20           shardcart repair --data {directory} --give-up {given_up}",
                    match given_up {
                        GiveUp::Commits(_) => "",
                        GiveUp::Unknown => ", and nobody can tell how much that was",
                    }
                )
            }
            Verdict::Lost(why) => write!(
                f,
                "  result    damaged: {why}. How much is lost cannot be told, so nothing can be given up here. Restore a copy \
                of the whole store, or move it away and start with an empty directory"
            ),
        }
    }
}
