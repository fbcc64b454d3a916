//! The file of API keys: names, roles and digests, but never a key itself. Every change replaces the whole file
//! under a lock, so that no reader sees half of it and no change is lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::role::Role;
use super::secret::{Digest, Secret};
use crate::error::{Error, Exhausted, Invalid, Result};
use crate::process::files::{self, failed_to};

/// The most keys in a file.
pub const MAX_KEYS: usize = 1_000;
/// The longest file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest name or id of a key, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// The length of a new id, in hexadecimal digits: 48 random bits suffice for at most [`MAX_KEYS`] keys.
const ID_DIGITS: usize = 12;
/// The longest wait for the lock, which is held for milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// The permissions of a new file: only the owner may read and write it.
const MODE: u32 = 0o600;
const FORMAT: u32 = 1;

/// An entry of the file, for one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The id by which it is revoked.
    pub id: String,
    /// Free text for people: the owner, the purpose.
    pub name: String,
    /// The role of its owner.
    pub role: Role,
    sha256: Digest,
    /// The time of its creation, in RFC 3339 in the file.
    pub created: Timestamp,
}

/// The contents of a file of API keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    format: u32,
    keys: Vec<Entry>,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read or is not a file of keys.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &read(path).map_err(failed_to("read", path))?)
    }

    /// Adds a new key to a file, and creates the file when it is missing. The key itself is returned here and stored
    /// nowhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed name, [`Error::Exhausted`] when the file is full, [`Error::Internal`] when it
    /// cannot be changed.
    pub fn add(path: &Path, name: &str, role: Role) -> Result<(Entry, Secret)> {
        if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(Invalid::general(format!(
                "--name: must be at most {MAX_NAME_BYTES} bytes without control characters"
            ))
            .into());
        }
        let key = Secret::random()?;
        let mut id = uuid::Uuid::new_v4().simple().to_string();
        id.truncate(ID_DIGITS);
        let entry = Entry { id, name: name.into(), role, sha256: key.digest(), created: Timestamp::now() };
        Self::change(path, |file| {
            if file.keys.len() >= MAX_KEYS {
                let detail = format!("{} has {MAX_KEYS} keys already", path.display());
                return Err(Error::Exhausted(Exhausted { detail, retry_after: None }));
            }
            file.keys.push(entry.clone());
            Ok(())
        })?;
        Ok((entry, key))
    }

    /// Removes a key from a file. Facades notice within a second or two.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such key, [`Error::Internal`] when the file cannot be changed.
    pub fn revoke(path: &Path, id: &str) -> Result<Entry> {
        Self::change(path, |file| {
            let place = file.keys.iter().position(|entry| entry.id == id);
            let place = place.ok_or_else(|| Error::NotFound(format!("{} has no key {id}", path.display())))?;
            Ok(file.keys.remove(place))
        })
    }

    /// Its keys, the oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.keys
    }

    /// The digest of each key, its id and its role.
    pub(super) fn digests(&self) -> impl Iterator<Item = (Digest, &str, Role)> {
        self.keys.iter().map(|entry| (entry.sha256, entry.id.as_str(), entry.role))
    }

    /// Parses a file. Errors name only a position, never the content, which could be a key.
    fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let refuse = |what: String| Err(Error::Internal(format!("{} {what}", path.display())));
        let file: KeyFile = match serde_json::from_slice(text) {
            Ok(file) => file,
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                return refuse(format!("is no file of API keys: line {line}, column {column}"));
            }
        };
        if file.format != FORMAT {
            return refuse(format!("is of format {}, this release knows {FORMAT}", file.format));
        }
        if file.keys.len() > MAX_KEYS {
            return refuse(format!("has more than {MAX_KEYS} keys"));
        }
        let is_printable = |text: &str| text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
        for (place, entry) in file.keys.iter().enumerate() {
            let is_new = |other: &Entry| other.id != entry.id && !bool::from(other.sha256.is(&entry.sha256));
            if !is_printable(&entry.id) || !is_printable(&entry.name) || !file.keys[..place].iter().all(is_new) {
                return refuse(format!("is no file of API keys: key number {} cannot be", place + 1));
            }
        }
        Ok(file)
    }

    fn change<T>(path: &Path, change: impl FnOnce(&mut KeyFile) -> Result<T>) -> Result<T> {
        // A symbolic link stays: the file that it points to is changed.
        let path = fs::canonicalize(path).or_else(|_| path::absolute(path));
        let path = path.map_err(|error| Error::Internal(format!("cannot find the file of API keys: {error}")))?;
        let _lock = lock(&path)?;
        let mut file = match read(&path) {
            Ok(text) => Self::parse(&path, &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => KeyFile { format: FORMAT, keys: Vec::new() },
            Err(error) => return Err(failed_to("read", &path)(error)),
        };
        let changed = change(&mut file)?;
        let mut text = serde_json::to_vec_pretty(&file)
            .map_err(|error| Error::Internal(format!("cannot write the API keys: {error}")))?;
        text.push(b'\n');
        files::replace(&path, &text, |temporary| create(temporary, &path)).map_err(failed_to("write", &path))?;
        Ok(changed)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would block until a process writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

/// Takes the lock. It is a file of its own, since the file of keys is replaced at each change.
fn lock(path: &Path) -> Result<File> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let held = || Error::Internal(format!("{}: another process is changing it", path.display()));
    files::lock(&PathBuf::from(lock), MODE, LOCK_TIMEOUT)?.ok_or_else(held)
}

/// Creates the file that replaces `old`, with the same owner, group and permissions, also when root changes it: who could
/// read the keys still can.
fn create(path: &Path, old: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    if let Ok(before) = fs::metadata(old) {
        fchown(&file, Some(before.uid()), Some(before.gid()))?;
        file.set_permissions(before.permissions())?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(file: &KeyFile) -> Vec<&str> {
        file.entries().iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn keys_are_added_listed_and_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (reader, key) = KeyFile::add(&path, "reader", Role::Read).unwrap();
        let (_, other) = KeyFile::add(&path, "", Role::Admin).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(&String::from(key.digest()))
                && !text.contains(key.reveal())
                && !text.contains(other.reveal())
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(names(&KeyFile::read(&path).unwrap()), ["reader", ""]);
        assert_eq!(KeyFile::revoke(&path, &reader.id).unwrap().name, "reader");
        assert!(matches!(KeyFile::revoke(&path, &reader.id), Err(Error::NotFound(_))));
        assert_eq!(names(&KeyFile::read(&path).unwrap()), [""]);
    }

    #[test]
    fn nothing_is_lost_when_many_add_at_once() {
        const AT_ONCE: usize = 16;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| KeyFile::add(&path, "one", Role::Read).unwrap());
            }
        });
        assert_eq!(KeyFile::read(&path).unwrap().entries().len(), AT_ONCE);
    }

    #[test]
    fn permissions_stay_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (first, _) = KeyFile::add(&path, "one", Role::Read).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        KeyFile::revoke(&path, &first.id).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("keys.json"), directory.path().join("link"));
        KeyFile::add(&path, "one", Role::Read).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        KeyFile::add(&link, "two", Role::Read).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(&KeyFile::read(&path).unwrap()), ["one", "two"]);
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_without_showing_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let entry = |id: &str, of: &str, more: &str| {
            let digest = String::from(Digest::of(of.as_bytes()));
            format!(
                r#"{{"id":"{id}","name":"","role":"read","sha256":"{digest}","created":"2026-11-23T00:00:00Z"{more}}}"#
            )
        };
        let file = |format: u32, entries: &[String]| format!(r#"{{"format":{format},"keys":[{}]}}"#, entries.join(","));
        let many: Vec<_> = (0..=MAX_KEYS).map(|n| entry(&n.to_string(), &n.to_string(), "")).collect();
        assert!(KeyFile::parse(&path, file(1, &many[1..]).as_bytes()).is_ok());
        let cases = [
            String::new(),
            "secret".into(),
            r#"{"secret":1}"#.into(),
            file(2, &[]),
            file(1, &[entry("1", "a", r#","key":"secret""#)]),
            file(1, &[entry("1", "a", "").replace("read", "secret")]),
            file(1, &[entry("1", "a", "").replace("2026", "secret")]),
            file(1, &[entry("1", "a", ""), entry("1", "b", "")]),
            file(1, &[entry("1", "a", ""), entry("2", "a", "")]),
            file(1, &[entry(r"\u0007secret", "a", "")]),
            file(1, &many),
            " ".repeat(MAX_FILE_BYTES as usize + 1),
        ];
        for text in cases {
            fs::write(&path, &text).unwrap();
            let error = KeyFile::read(&path).unwrap_err().to_string();
            assert!(error.contains("keys.json") && !error.contains("secret"), "{error}");
            assert!(KeyFile::add(&path, "one", Role::Read).is_err(), "an unreadable file is not overwritten");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(KeyFile::read(directory.path()).is_err() && KeyFile::read(&directory.path().join("none")).is_err());
    }

    #[test]
    fn a_full_file_takes_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (entry, _) = KeyFile::add(&path, "one", Role::Read).unwrap();
        let keys = (0..MAX_KEYS).map(|number| Entry {
            id: number.to_string(),
            sha256: Digest::of(&number.to_be_bytes()),
            ..entry.clone()
        });
        let full = KeyFile { format: FORMAT, keys: keys.collect() };
        fs::write(&path, serde_json::to_vec(&full).unwrap()).unwrap();
        assert!(matches!(KeyFile::add(&path, "more", Role::Read), Err(Error::Exhausted(_))));
        assert!(matches!(KeyFile::add(&path, "bell\u{7}", Role::Read), Err(Error::Invalid(_))));
    }

    #[test]
    fn names_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert!(matches!(KeyFile::add(&path, &long, Role::Read), Err(Error::Invalid(_))));
        KeyFile::add(&path, &long[1..], Role::Read).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&long[1..], &long)).unwrap();
        assert!(KeyFile::read(&path).unwrap_err().to_string().contains("key number 1 cannot be"));
    }
}
