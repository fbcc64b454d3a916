//! A log file with a limit on its size: when it is full it replaces the one before, of which there is only one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::same_file::is_same;

/// The end of the old file's name.
const OLD: &str = ".1";

/// A file that is appended to, and renamed when it is full.
pub struct RotatedFile {
    path: PathBuf,
    old: PathBuf,
    /// The size past which it is renamed, in bytes.
    max_bytes: u64,
}

impl RotatedFile {
    /// Makes the file, and its directory, where they are missing: what cannot be written is then an error now, and not
    /// when the file is needed.
    ///
    /// # Errors
    /// When the directory or the file cannot be made or opened.
    pub fn open(directory: &Path, name: &str, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = RotatedFile { path: directory.join(name), old: directory.join(format!("{name}{OLD}")), max_bytes };
        file.append(b"")?;
        Ok(file)
    }

    /// Appends bytes. The file is opened for each call: one that was removed or renamed, or could not be written the
    /// last time, is then no special case.
    ///
    /// # Errors
    /// When it cannot be written. A part may have been.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let open = || OpenOptions::new().create(true).append(true).open(&self.path);
        let mut file = open()?;
        let length = file.metadata()?.len();
        if length > 0 && length + bytes.len() as u64 > self.max_bytes {
            self.rotate(file)?;
            file = open()?;
        }
        file.write_all(bytes)
    }

    /// Renames the file, unless another process has done so since it was opened: the launcher and the facade have one file
    /// for both, and a second rename would replace the old file with the new one.
    fn rotate(&self, file: File) -> io::Result<()> {
        // A file system without locks is no reason to lose lines.
        let _ = file.lock();
        let ours = file.metadata()?;
        let rename = |found| if is_same(&ours, &found) { fs::rename(&self.path, &self.old) } else { Ok(()) };
        match fs::metadata(&self.path).and_then(rename) {
            // The other process has not made the file anew yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_rotated_and_one_old_file_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = RotatedFile::open(directory.path(), "log", 1_000).unwrap();
        for _ in 0..95 {
            file.append(&[b'x'; 100]).unwrap();
        }
        let size = |name| fs::metadata(directory.path().join(name)).unwrap().len();
        assert_eq!((size("log.1"), size("log")), (1_000, 500));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        file.append(&[b'y'; 5_000]).unwrap();
        assert_eq!((size("log.1"), size("log")), (500, 5_000), "what is longer than the limit is written all the same");
    }

    #[test]
    fn a_file_that_two_processes_find_full_is_rotated_once() {
        let directory = tempfile::tempdir().unwrap();
        let [ours, theirs] = [(); 2].map(|()| RotatedFile::open(directory.path(), "log", 10).unwrap());
        ours.append(b"the old file\n").unwrap();
        let [first, second] = [&ours, &theirs].map(|log| File::open(&log.path).unwrap());
        ours.rotate(first).unwrap();
        ours.append(b"the new one\n").unwrap();
        theirs.rotate(second).unwrap();
        let read = |name| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((read("log.1").as_str(), read("log").as_str()), ("the old file\n", "the new one\n"));
    }

    #[test]
    fn a_file_that_another_process_has_renamed_and_not_made_anew_counts_as_rotated() {
        let directory = tempfile::tempdir().unwrap();
        let log = RotatedFile::open(directory.path(), "log", 10).unwrap();
        log.append(b"the old file\n").unwrap();
        let opened = File::open(&log.path).unwrap();
        fs::rename(&log.path, &log.old).unwrap();
        log.rotate(opened).unwrap();
        log.append(b"the new one\n").unwrap();
        let read = |path| fs::read_to_string(path).unwrap();
        assert_eq!((read(&log.old).as_str(), read(&log.path).as_str()), ("the old file\n", "the new one\n"));
    }

    #[test]
    fn writing_resumes_after_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let file = RotatedFile::open(directory.path(), "log", 1_000).unwrap();
        let path = directory.path().join("log");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        file.append(b"lost\n").unwrap_err();
        fs::remove_dir(&path).unwrap();
        file.append(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "kept\n");
    }
}
