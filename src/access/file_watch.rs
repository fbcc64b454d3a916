//! Detects changes of the file of API keys, so that a revoked key stops working without a restart.
//!
//! It polls, because network mounts send no change notifications, and because a notification misses a file that is
//! replaced unless its directory is watched too.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::{fs, io};

use super::key_file::KeyFile;
use crate::error::Result;

/// The metadata by which a change of a file is detected.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of its last change, that of its permissions too.
    changed: (i64, i64),
}

/// A file of API keys and its last known state.
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    seen: std::result::Result<Stamp, io::ErrorKind>,
    /// True when the file could not be read in its last known state. It is then read again each time, since the reason
    /// may pass.
    is_unread: bool,
}

impl FileWatch {
    /// Watches a file from now on, and reads it for the first time.
    pub fn new(path: PathBuf) -> (Self, Result<KeyFile>) {
        // As for `changed`.
        let seen = stamp(&path);
        let file = KeyFile::read(&path);
        (FileWatch { seen, path, is_unread: file.is_err() }, file)
    }

    /// Reads the file if it has changed since the last call. Returns an error once for each state that cannot be read.
    pub fn changed(&mut self) -> Option<Result<KeyFile>> {
        // The metadata comes first, so that a change during the read is detected the next time.
        let now = stamp(&self.path);
        let has_changed = now != self.seen;
        if !has_changed && !self.is_unread {
            return None;
        }
        self.seen = now;
        let file = KeyFile::read(&self.path);
        self.is_unread = file.is_err();
        (has_changed || file.is_ok()).then_some(file)
    }
}

fn stamp(path: &PathBuf) -> std::result::Result<Stamp, io::ErrorKind> {
    let metadata = fs::metadata(path).map_err(|error| error.kind())?;
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Ok(Stamp { inode: metadata.ino(), size: metadata.size(), changed })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::role::Role;
    use super::*;

    /// The names of a changed file's keys; `None` when it cannot be read.
    fn names(changed: Result<KeyFile>) -> Option<Vec<String>> {
        Some(changed.ok()?.entries().iter().map(|entry| entry.name.clone()).collect())
    }

    #[test]
    fn a_change_is_reported_once_and_a_bad_file_again_when_it_is_good() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (first, _) = KeyFile::add(&path, "first", Role::Read).unwrap();
        let (mut watch, file) = FileWatch::new(path.clone());
        assert_eq!(names(file), Some(vec!["first".into()]));
        assert!(watch.changed().is_none());
        KeyFile::add(&path, "other", Role::Read).unwrap();
        assert_eq!(watch.changed().map(names), Some(Some(vec!["first".into(), "other".into()])));
        assert!(watch.changed().is_none());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        assert_eq!(watch.changed().map(names), Some(None));
        assert!(watch.changed().is_none() && watch.is_unread);
        fs::remove_file(&path).unwrap();
        assert_eq!(watch.changed().map(names), Some(None));
        fs::write(&path, whole).unwrap();
        KeyFile::revoke(&path, &first.id).unwrap();
        assert_eq!(watch.changed().map(names), Some(Some(vec!["other".into()])));
        assert!(watch.changed().is_none() && !watch.is_unread);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(watch.changed().is_some(), "it may not be readable any more");
    }
}
