//! Opens a log: finds every commit that was acknowledged, or refuses to start. `survey` has the rule that tells a torn
//! commit from damage.

use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::block::BlockBuffer;
use super::disk::Disk;
use super::manifest::{MANIFEST, Manifest, ManifestFile};
use super::mark::Mark;
use super::ring::{Ring, Sizes, file_index, file_name};
use super::survey::{Each, Existing, Stop, fault, refused};
use crate::error::Result;

/// The number of the first file.
const FIRST_NUMBER: u64 = 1;

/// Opens the log on a disk, or makes it where nothing is. Calls `each` with every commit that the tables lack, in
/// order. `mark` is what the tables know of the log; `None` while they are empty.
///
/// # Errors
/// [`crate::error::Error::Internal`] that names file, offset and sequence when something is missing or damaged.
pub fn open(disk: Box<dyn Disk>, sizes: Sizes, mark: Option<Mark>, each: &mut Each<'_>) -> Result<Ring> {
    let names = disk.names().map_err(|error| fault("cannot list the log's files", &error))?;
    if !names.iter().any(|name| name == MANIFEST) {
        return create(disk, sizes, mark, &names);
    }
    let (mut manifest_file, manifest) =
        ManifestFile::open(&*disk).map_err(|error| fault("cannot read the log's manifest", &error))?;
    let manifest = manifest.ok_or_else(|| refused("the log's manifest is damaged, or of another format"))?;
    let log = Existing::open(&*disk, manifest)?;
    let sizes = Sizes { file_bytes: log.manifest.file_bytes, ..sizes };
    // What a killed process wrote may not be on the device yet, and is about to count.
    for file in log.files.iter().filter_map(|file| file.handle.as_ref()) {
        file.sync().map_err(|error| fault("cannot sync the log", &error))?;
    }
    let end = log.survey(mark, each)?;
    if let Some(damage) = end.damage {
        return Err(damage.error());
    }
    if let Some(stop) = end.stop {
        clear_torn(&*disk, &log, end.last, &stop)?;
    }
    let manifest = Manifest { reached: end.last, live: end.live, next_number: end.next_number, ..log.manifest };
    manifest_file.write(&manifest).map_err(|error| fault("cannot write the log's manifest", &error))?;
    let handles = log.files.into_iter().filter_map(|file| file.handle).collect();
    Ok(Ring::new(disk, sizes, handles, manifest, manifest_file))
}

fn create(disk: Box<dyn Disk>, sizes: Sizes, mark: Option<Mark>, names: &[String]) -> Result<Ring> {
    let failed = |error: io::Error| fault("cannot make the log", &error);
    // A first start that was interrupted leaves files of zeros.
    let is_used = |name: &String| {
        let Ok(file) = disk.open(name) else { return true };
        let mut first = vec![0; disk.unit()];
        file.read_at(&mut first, 0).is_ok() && first.iter().any(|byte| *byte != 0)
    };
    if mark.is_some() || names.iter().filter(|name| file_index(name).is_some()).any(is_used) {
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
        given_up: 0,
        live: Vec::new(),
    };
    let file = disk.create(&file_name(0), sizes.file_bytes, &mut |_| ()).map_err(failed)?;
    let manifest_file = ManifestFile::create(&*disk, &manifest).map_err(failed)?;
    Ok(Ring::new(disk, sizes, vec![Arc::from(file)], manifest, manifest_file))
}

/// Clears a frame that was never acknowledged; its bytes are kept in a file of their own, if there is room.
fn clear_torn(disk: &dyn Disk, log: &Existing, last: u64, stop: &Stop) -> Result<()> {
    let file = log.files.get(usize::from(stop.file.index)).and_then(|file| file.handle.as_ref());
    let (Some(header), Some(file)) = (stop.torn, file) else { return Ok(()) };
    let failed = |error: io::Error| fault("cannot clear a torn commit", &error);
    let unit = log.manifest.unit as usize;
    let span = header.span(unit).min(log.manifest.file_bytes - stop.offset);
    let mut bytes = vec![0; usize::try_from(span).unwrap_or_default()];
    file.read_at(&mut bytes, stop.offset).map_err(failed)?;
    let name = format!("torn-{}", last + 1);
    if let Err(error) = disk.save(&name, &bytes) {
        tracing::warn!(%error, "the bytes of a torn commit cannot be saved");
    }
    tracing::warn!(
        file = file_name(stop.file.index),
        offset = stop.offset,
        saved = name,
        "the last commit was torn and never acknowledged: it is cleared"
    );
    file.write_at(BlockBuffer::default().fill(&[&[0]], unit), stop.offset).map_err(failed)
}
