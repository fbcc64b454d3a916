//! Whether a path still leads to the same file. A process that has a file open does not notice when it is removed or
//! replaced under it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, lstat, openat};
use rustix::io::Errno;

/// A file that was at a path. It is kept open, so that no other file gets its inode.
#[derive(Debug)]
pub struct SameFile {
    path: PathBuf,
    file: OwnedFd,
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
        Ok(SameFile { path: path.to_owned(), file })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the path.
    pub fn look(&self) -> Found {
        let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
        match (lstat(&self.path), fstat(&self.file)) {
            (Ok(now), Ok(then)) if identity(now) == identity(then) => Found::Same,
            (Err(Errno::NOENT), _) => Found::Nothing,
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
