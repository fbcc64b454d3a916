//! A catalogue file is checked as a whole before anything is started or written, and copied into the data
//! directory, so that filling the shards can be finished after any interruption.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::child::say;
use crate::catalog::{self, row};
use crate::error::{Error, Result};

/// Rows between two looks at the terminal.
const PROGRESS_STRIDE: usize = 1_000;

/// Reads a catalogue to its end. On a terminal a bar shows how far it is.
///
/// # Errors
/// [`Error::Invalid`] that names the first bad row, [`Error::Fault`] when it cannot be read.
pub fn check(path: &Path) -> Result<()> {
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    // It draws to stderr, and only where that is a terminal.
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("checking the catalogue {wide_bar} {bytes} of {total_bytes}") {
        bar.set_style(style);
    }
    let mut rows = 0;
    let read = catalog::read(path, |_, bytes| {
        rows += 1;
        if rows % PROGRESS_STRIDE == 0 {
            bar.set_position(bytes);
        }
        Ok(())
    });
    bar.finish_and_clear();
    let rows = read.map_err(|error| match error {
        Error::Invalid(detail) => Error::Invalid(format!("--catalog: {detail}; nothing was started or written")),
        other => other,
    })?;
    say(&format!("catalogue: {rows} products"));
    Ok(())
}

/// Copies a catalogue, in the form that needs no guessing.
///
/// # Errors
/// As for [`check`], and [`Error::Fault`] when it cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let fault = |error: io::Error| Error::Fault(format!("cannot write {}: {error}", to.display()));
    let temporary = to.with_extension("new");
    let mut file = BufWriter::new(File::create(&temporary).map_err(fault)?);
    catalog::read(from, |product, _| file.write_all(row::to_line(&product).as_bytes()).map_err(fault))?;
    file.into_inner().map_err(|error| fault(error.into_error()))?.sync_all().map_err(fault)?;
    fs::rename(&temporary, to).map_err(fault)
}
