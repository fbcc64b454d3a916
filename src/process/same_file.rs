//! Whether two paths lead to one file, or a path still to the same one. A process that has a file open does not notice
//! when it is removed or replaced under it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// True for the metadata of one file.
pub fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A file that was at a path. It is kept open, so that no other file gets its inode.
#[derive(Debug)]
pub struct SameFile {
    path: PathBuf,
    file: File,
}

/// What is at the path now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The same file.
    Same,
    /// Another file, or one that cannot be looked at.
    Other,
    /// Nothing.
    Nothing,
}

impl SameFile {
    /// The file, of any kind, that is at a path.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        let file = openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        Ok(SameFile { path: path.to_owned(), file: file.into() })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the path.
    pub fn look(&self) -> Found {
        match (fs::symlink_metadata(&self.path), self.file.metadata()) {
            (Ok(now), Ok(then)) if is_same(&now, &then) => Found::Same,
            (Err(error), _) if error.kind() == ErrorKind::NotFound => Found::Nothing,
            _ => Found::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_removed_or_replaced_is_not_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(SameFile::at(&path).is_err());
        fs::write(&path, "one").unwrap();
        let file = SameFile::at(&path).unwrap();
        fs::write(&path, "its content may change").unwrap();
        assert_eq!(file.look(), Found::Same);
        fs::remove_file(&path).unwrap();
        assert_eq!(file.look(), Found::Nothing);
        fs::write(&path, "two").unwrap();
        assert_eq!(file.look(), Found::Other);
    }
}
