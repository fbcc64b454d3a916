//! Cuts a damaged log after the last commit before the damage, so that the shard starts again. What is cut is saved first.
//!
//! A cut ends at a whole commit, so what is left is what the shard was at that moment. The manifest keeps up to which
//! commit others were given up: the tables may remember that the log once reached further.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::block::BlockBuffer;
use super::disk::Disk;
use super::findings::{Findings, FoundLog, Verdict, find};
use super::lost::GiveUp;
use super::manifest::{MANIFEST, Manifest, ManifestFile};
use super::ring::file_name;
use super::storage::LOG_DIRECTORY;
use super::survey::Stop;
use crate::error::{Error, Result};
use crate::process::files::{failed_to, make_directory};

/// Gives up the commits after the last one before the damage, in a shard's data directory that no process uses. Returns
/// the last commit that is kept, and the directory that has what was cut.
///
/// # Errors
/// [`Error::Internal`] when there is no damage, when it cannot be given up, or when it is another number of commits:
/// nothing is changed then. Also when the disk fails: the next attempt goes on.
pub fn give_up(directory: &Path, wanted: GiveUp) -> Result<(u64, PathBuf)> {
    let findings = find(directory)?;
    let refuse = |text: &str| Err(Error::Internal(format!("{}: {text}; nothing is changed", directory.display())));
    match &findings.verdict {
        Verdict::CanGiveUp(lost) if *lost == wanted => {}
        Verdict::CanGiveUp(lost) => {
            return refuse(&format!("--give-up {wanted}: what would be lost is {lost}"));
        }
        Verdict::Sound => return refuse("it is sound, there is nothing to give up"),
        Verdict::Lost(why) => return refuse(&format!("{why}: how much is lost cannot be told")),
    }
    let saved = save(directory, &findings)?;
    cut(&findings)?;
    let after = find(directory)?;
    match after.verdict {
        Verdict::Sound => Ok((after.last(), saved)),
        _ => Err(Error::Internal(format!("it is still damaged; what was cut is in {}\n{after}", saved.display()))),
    }
}

/// Saves the manifest, all files that are about to change or to be used again, and what was found.
fn save(directory: &Path, findings: &Findings) -> Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let saved = directory.join(format!("repair-{now}"));
    make_directory(&saved).map_err(failed_to("make", &saved))?;
    let log = directory.join(LOG_DIRECTORY);
    let names = findings.log.iter().flat_map(changed).map(file_name).chain([MANIFEST.to_owned()]);
    for name in names {
        let (from, to) = (log.join(&name), saved.join(&name));
        if from.exists() {
            fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all()).map_err(failed_to("save", &to))?;
        }
    }
    let text = saved.join("found.txt");
    fs::write(&text, format!("{findings}\n")).map_err(failed_to("write", &text))?;
    File::open(&saved).and_then(|saved| saved.sync_all()).map_err(failed_to("sync", &saved))?;
    Ok(saved)
}

/// The positions of the files that a cut changes, or makes free.
fn changed(log: &FoundLog) -> Vec<u16> {
    let stop = cut_in(log).map(|stop| stop.file.index);
    let dropped = log.survey.dropped.iter().map(|file| file.index);
    let mut indexes: Vec<_> = unusable(log).chain(dropped).chain(stop).collect();
    indexes.sort_unstable();
    indexes.dedup();
    indexes
}

/// The positions of the files that cannot be used as they are.
fn unusable(log: &FoundLog) -> impl Iterator<Item = u16> {
    log.existing.files.iter().enumerate().filter(|(_, file)| file.problem.is_some()).map(|(index, _)| index as u16)
}

/// Where a file is cut that is still needed.
fn cut_in(log: &FoundLog) -> Option<&Stop> {
    log.survey.stop.as_ref().filter(|stop| log.survey.live.contains(&stop.file))
}

/// The manifest comes last: until it is written, the shard does not start.
fn cut(findings: &Findings) -> Result<()> {
    let Some(log) = &findings.log else { return Ok(()) };
    let failed = |error: io::Error| Error::Internal(format!("cannot cut the log: {error}"));
    let (old, survey) = (&log.existing.manifest, &log.survey);
    if let Some(stop) = cut_in(log) {
        clear_from(log, stop).map_err(failed)?;
    }
    for index in unusable(log) {
        log.disk.create(&file_name(index), old.file_bytes, &mut |_| {}).map_err(failed)?;
    }
    let lost = survey.damage.as_ref().map_or(0, |damage| damage.lost);
    let known = findings.mark().map_or(0, |mark| mark.reached);
    let manifest = Manifest {
        applied: findings.mark().map_or(0, |mark| mark.applied),
        next_number: survey.next_number,
        reached: survey.last,
        given_up: old.given_up.max(survey.last + lost).max(known),
        live: survey.live.clone(),
        ..old.clone()
    };
    ManifestFile::create(&log.disk, &manifest).map(|_| ()).map_err(failed)
}

/// Clears every unit of a file from the place on where no frame follows.
fn clear_from(log: &FoundLog, stop: &Stop) -> io::Result<()> {
    let Manifest { unit, file_bytes, .. } = log.existing.manifest;
    let file = log.existing.files.get(usize::from(stop.file.index)).and_then(|file| file.handle.as_ref());
    let file = file.ok_or(io::ErrorKind::NotFound)?;
    let mut bytes = vec![0; unit as usize];
    let mut buffer = BlockBuffer::default();
    let mut offset = stop.offset;
    while offset < file_bytes {
        file.read_at(&mut bytes, offset)?;
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_at(buffer.fill(&[&[0]], unit as usize), offset)?;
        }
        offset += u64::from(unit);
    }
    Ok(())
}
