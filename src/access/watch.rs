//! Follows the file of keys: a key that is revoked stops to work without a restart.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Weak;
use std::time::Duration;
use std::{fs, io, thread};

use super::Access;
use super::file::KeyFile;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of its last change.
    modified: (i64, i64),
}

/// A file of keys as it was seen last.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    seen: Result<Stamp, io::ErrorKind>,
    /// Whether what was seen could not be read. It is tried again each time: the reason may pass.
    is_unread: bool,
}

impl Watch {
    /// Begins with the file as it is; only after this may it be read for the first time.
    pub fn new(path: PathBuf) -> Self {
        Watch { seen: stamp(&path), path, is_unread: false }
    }

    /// Follows the file for as long as its keys are used.
    pub fn run(mut self, access: &Weak<Access>) {
        loop {
            thread::sleep(INTERVAL);
            let Some(access) = access.upgrade() else { return };
            self.look(&access);
        }
    }

    /// Takes over what has changed. A file that cannot be read changes nothing, and the log says so
    /// once for each state of the file.
    fn look(&mut self, access: &Access) {
        // Before it is read: what changes in between is noticed the next time.
        let now = stamp(&self.path);
        let has_changed = now != self.seen;
        if !has_changed && !self.is_unread {
            return;
        }
        self.seen = now;
        let read = KeyFile::read(&self.path);
        self.is_unread = read.is_err();
        match read {
            Ok(file) => {
                access.replace_listed(&file);
                tracing::info!(keys = file.entries().len(), "the API keys have changed");
            }
            Err(error) if has_changed => {
                tracing::error!(%error, "the API keys cannot be read; the ones before still count");
            }
            Err(_) => {}
        }
    }
}

fn stamp(path: &PathBuf) -> Result<Stamp, io::ErrorKind> {
    let metadata = fs::metadata(path).map_err(|error| error.kind())?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Ok(Stamp { inode: metadata.ino(), size: metadata.size(), modified })
}

#[cfg(test)]
mod tests {
    use super::super::{Denied, Role, Secret, Settings};
    use super::*;

    #[test]
    fn what_is_added_and_revoked_is_noticed_and_a_bad_file_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (first, key) = KeyFile::add(&path, "first", Role::Read).unwrap();
        let settings = Settings { file: Some(path.clone()), ..Settings::default() };
        let access = Access::open(&settings, []).unwrap();
        let mut watch = Watch::new(path.clone());
        let check = |key: &Secret| access.check(key.reveal().as_bytes(), Role::Read);
        assert_eq!(check(&key), Ok(()));
        let (_, other) = KeyFile::add(&path, "other", Role::Read).unwrap();
        assert_eq!(check(&other), Err(Denied::Unknown));
        watch.look(&access);
        assert_eq!(check(&other), Ok(()));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        watch.look(&access);
        assert!(watch.is_unread);
        fs::remove_file(&path).unwrap();
        watch.look(&access);
        assert_eq!((check(&key), check(&other)), (Ok(()), Ok(())));
        fs::write(&path, whole).unwrap();
        KeyFile::revoke(&path, &first.id).unwrap();
        watch.look(&access);
        assert_eq!((check(&key), check(&other)), (Err(Denied::Unknown), Ok(())));
        assert!(!watch.is_unread);
    }
}
