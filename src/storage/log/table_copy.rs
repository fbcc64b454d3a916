//! A copy of the tables to look at: fjall changes and removes files when it opens them. Tables are never written again once
//! they are there, so the copy shares them with hard links, where the file system has those.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::process::files::failed_to;

/// The directory of the copy, beside that of the tables.
const COPY: &str = "repair-look";

/// A copy that is removed when it is dropped.
pub struct TableCopy(PathBuf);

impl TableCopy {
    /// Copies a directory of tables.
    ///
    /// # Errors
    /// [`crate::error::Error::Internal`] when that fails.
    pub fn of(tables: &Path) -> Result<Self> {
        let directory = tables.with_file_name(COPY);
        if directory.exists() {
            // Another look was killed.
            fs::remove_dir_all(&directory).map_err(failed_to("remove", &directory))?;
        }
        let copy = TableCopy(directory);
        copy_into(tables, &copy.0).map_err(failed_to("copy the tables to", &copy.0))?;
        Ok(copy)
    }

    /// The directory of the copy.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TableCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(directory = %self.0.display(), %error, "cannot be removed");
        }
    }
}

fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_into(&path, &target)?;
            continue;
        }
        let is_table = target.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok()).is_some();
        if !is_table || fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
