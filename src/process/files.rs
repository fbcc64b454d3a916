//! Locks and durably replaces files. Every error names the file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::process::umask;

use crate::error::{Error, Result};

/// The time between two attempts to take a lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The permissions that new files and directories are denied: all of group and others.
const PRIVATE_UMASK: Mode = Mode::from_bits_truncate(0o077);

/// Makes every file, directory and socket that this process makes from now on its user's alone: 0600 and 0700.
pub fn keep_private() {
    umask(PRIVATE_UMASK);
}

/// Warns about a directory that is there already and lets group or others in. Whoever made it may want that, so it stays.
pub fn warn_if_open(directory: &Path) {
    let mode = fs::metadata(directory).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & PRIVATE_UMASK.bits() != 0 {
        let (directory, mode) = (directory.display(), format!("{mode:o}"));
        tracing::warn!(%directory, mode, "other users may read this data directory: chmod -R go= keeps them out");
    }
}

/// Turns an I/O error into an [`Error::Internal`] that names the action and the file, such as
/// `cannot read /data/store.json: permission denied`.
pub fn failed_to(action: &str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::Internal(format!("cannot {action} {}: {error}", path.display()))
}

/// Locks a file for this process until the returned file is dropped. A missing file is created with the
/// permissions `mode`, less the process's umask. Returns `None` when another process holds the lock for all of
/// `timeout`.
///
/// # Errors
/// [`Error::Internal`] when the file cannot be created or locked.
pub fn lock(path: &Path, mode: u32, timeout: Duration) -> Result<Option<File>> {
    let file = OpenOptions::new().create(true).append(true).mode(mode).open(path).map_err(failed_to("make", path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if started.elapsed() < timeout => thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed_to("lock", path)(error)),
        }
    }
}

/// Replaces a file atomically and durably: a reader sees the old content or the new, also after a power failure.
/// `create` creates the new file beside it, at `path` with `.new` appended.
///
/// # Errors
/// When the new file cannot be written; the old one then stays.
pub fn replace(path: &Path, content: &[u8], create: impl FnOnce(&Path) -> io::Result<File>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let mut file = create(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_parent(path)
}

/// Creates a directory and its missing parents durably: they are still there after a power failure.
///
/// # Errors
/// When a directory cannot be created.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
        match fs::create_dir(path) {
            // Another process made it, or its parent was what made a path with `..` lead there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
        sync_parent(path)?;
    }
    Ok(())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let take = |timeout| lock(&path, 0o666, Duration::from_millis(timeout)).unwrap();
        let first = take(0);
        assert!(first.is_some());
        assert!(take(0).is_none() && take(50).is_none());
        drop(first);
        assert!(take(0).is_some());
        let error = lock(&directory.path().join("missing/lock"), 0o666, Duration::ZERO).unwrap_err().to_string();
        assert!(error.starts_with("cannot make ") && error.contains("missing/lock: "), "{error}");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        replace(&path, b"one", |path| File::create(path)).unwrap();
        replace(&path, b"two", |path| File::create(path)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        replace(&path, b"three", |_| Err(io::Error::other("full"))).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_directories_are_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        make_directory(&path).unwrap();
        make_directory(&path).unwrap();
        assert!(path.is_dir());
        let back = directory.path().join("new/../c");
        make_directory(&back).unwrap();
        assert!(back.is_dir() && directory.path().join("c").is_dir());
        File::create(directory.path().join("file")).unwrap();
        assert_eq!(make_directory(&directory.path().join("file")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
