//! The data directory of a playground or a proof: made for it, and removed at its end. A store that was there before is
//! never touched.

use std::fs;
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};

use crate::error::{Error, Invalid, Result};
use crate::process::files::failed_to;

/// The beginning of the name in the system's directory for temporary files.
const PREFIX: &str = "shardcart-playground-";

/// A directory that did not exist before. It is removed, with all that is in it, when this is dropped, unless it is kept.
#[derive(Debug)]
pub struct FreshDirectory {
    path: PathBuf,
    is_kept: bool,
}

impl FreshDirectory {
    /// Makes a directory for this user alone: at a path, or without one among the system's temporary files.
    ///
    /// # Errors
    /// [`Error::Invalid`] when something is at that path; [`Error::Internal`] when it cannot be made.
    pub fn make(at: Option<&Path>, is_kept: bool) -> Result<Self> {
        let path = match at {
            Some(path) => {
                let path = path::absolute(path).map_err(failed_to("use", path))?;
                fs::create_dir(&path).map_err(|error| match error.kind() {
                    ErrorKind::AlreadyExists => {
                        let reason = "exists already; a playground makes a store of its own, and removes it at the end";
                        Error::Invalid(Invalid::general(format!("--data {}: {reason}", path.display())))
                    }
                    _ => failed_to("make", &path)(error),
                })?;
                path
            }
            None => {
                let made = tempfile::Builder::new().prefix(PREFIX).tempdir();
                made.map_err(|error| Error::Internal(format!("cannot make a temporary directory: {error}")))?.keep()
            }
        };
        Ok(FreshDirectory { path, is_kept })
    }

    /// The directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FreshDirectory {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(directory = %self.path.display(), %error, "cannot remove the playground's directory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_new_and_removed_unless_it_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("play");
        for is_kept in [false, true] {
            let directory = FreshDirectory::make(Some(&path), is_kept).unwrap();
            fs::write(directory.path().join("file"), "x").unwrap();
            let refused = FreshDirectory::make(Some(&path), false).unwrap_err();
            assert!(
                matches!(refused, Error::Invalid(_)) && refused.to_string().contains("exists already"),
                "{refused}"
            );
            drop(directory);
            assert_eq!(path.join("file").exists(), is_kept);
        }
        fs::remove_dir_all(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert!(FreshDirectory::make(Some(&path), false).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"a file");
    }

    #[test]
    fn without_a_path_it_is_among_the_temporary_files() {
        let directory = FreshDirectory::make(None, false).unwrap();
        let path = directory.path().to_owned();
        assert!(path.is_dir() && path.is_absolute());
        drop(directory);
        assert!(!path.exists());
    }
}
