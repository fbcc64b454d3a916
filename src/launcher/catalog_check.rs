//! Checks a whole catalog file before anything is started or written, and copies it into the data directory, so that
//! its import into the shards can be finished after any interruption.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::catalog::{self, CatalogSummary};
use crate::error::{Error, Result};
use crate::json::product;
use crate::process::disk_space::Free;
use crate::process::files::failed_to;
use crate::process::logging::print;

/// The number of rows between two updates of the progress bar.
const PROGRESS_STRIDE: usize = 1_000;

/// Reads a catalog to its end. On a terminal it shows a progress bar.
///
/// # Errors
/// [`Error::Invalid`] that names the first bad row, [`Error::Internal`] when it cannot be read,
/// [`Error::Unavailable`] when a shutdown is requested.
pub fn check(path: &Path, is_stopped: &dyn Fn() -> bool) -> Result<CatalogSummary> {
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    // The bar draws to stderr, and only if that is a terminal.
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("checking the catalog {wide_bar} {bytes} of {total_bytes}") {
        bar.set_style(style);
    }
    let mut rows = 0;
    let read = catalog::read(path, |_, bytes| {
        rows += 1;
        if rows % PROGRESS_STRIDE == 0 {
            bar.set_position(bytes);
            go_on(is_stopped)?;
        }
        Ok(())
    });
    bar.finish_and_clear();
    let summary = read.map_err(|error| match error {
        Error::Invalid(invalid) => Error::invalid("--catalog", format!("{invalid}; nothing was started or written")),
        other => other,
    })?;
    print(format_args!("catalog: {} products", summary.products));
    Ok(summary)
}

/// What ends a copy early: too little free space on the disk that it is written to, in bytes, and a shutdown.
#[derive(Clone, Copy)]
pub struct CopyLimits<'a> {
    /// The bytes that have to stay free.
    pub min_free: u64,
    /// True once a shutdown was requested.
    pub is_stopped: &'a dyn Fn() -> bool,
}

/// Copies a checked catalog as JSON lines, a form that needs no detection.
///
/// # Errors
/// As for [`check`], [`Error::Unavailable`] when the disk is nearly full, and [`Error::Internal`] when the copy cannot be
/// written or the file has changed since the check. There is no copy then.
pub fn copy(from: &Path, checked: CatalogSummary, to: &Path, limits: CopyLimits<'_>) -> Result<()> {
    let temporary = to.with_extension("new");
    let failed = failed_to("write", to);
    // The copy will be about as long.
    let length = fs::metadata(from).map_or(0, |metadata| metadata.len());
    check_room(to, limits.min_free.saturating_add(length))?;
    let copied = write(from, checked, &temporary, &failed, limits);
    if copied.is_err() {
        // Only the first error is reported. A leftover file is harmless: the next start writes it anew.
        let _ = fs::remove_file(&temporary);
    }
    copied.and_then(|()| fs::rename(&temporary, to).map_err(failed))
}

fn write(
    from: &Path,
    checked: CatalogSummary,
    to: &Path,
    failed: &dyn Fn(io::Error) -> Error,
    limits: CopyLimits<'_>,
) -> Result<()> {
    let mut file = BufWriter::new(File::create(to).map_err(failed)?);
    let mut rows = 0;
    let read = catalog::read(from, |product, _| {
        rows += 1;
        if rows % PROGRESS_STRIDE == 0 {
            go_on(limits.is_stopped)?;
            check_room(to, limits.min_free)?;
        }
        file.write_all(product::to_line(&product).as_bytes()).map_err(failed)
    })?;
    if read != checked {
        return Err(Error::Internal(format!("{}: was changed while it was read", from.display())));
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

/// Refuses to write a file when less is free on its disk.
fn check_room(file: &Path, needed: u64) -> Result<()> {
    let free = file.parent().map_or(0, |directory| Free::of(directory).bytes);
    if free >= needed {
        return Ok(());
    }
    Err(Error::Unavailable(format!(
        "--catalog: no room for the copy {}: {free} bytes are free, and with --min-free it takes {needed}; nothing was started",
        file.display()
    )))
}

fn go_on(is_stopped: &dyn Fn() -> bool) -> Result<()> {
    if is_stopped() {
        return Err(Error::Unavailable("--catalog: asked to end before it was read; nothing was started".into()));
    }
    Ok(())
}
