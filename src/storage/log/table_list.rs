//! The tables of one of fjall's keyspaces, as its own list names them.
//!
//! `current` has the number of the list that counts, and that list's checksum: `v<number>` then names each table with its
//! checksum. fjall itself compares neither, and answers a damaged list with a panic.

use std::fs;
use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};

use sfa::Reader as Archive;
use xxhash_rust::xxh3::xxh3_128;

use super::bytes::Reader;
use crate::error::{Error, Result};
use crate::process::files::failed_to;

/// The name of the file that says which list counts.
const CURRENT: &str = "current";
/// fjall's number of the checksum that it uses, XXH3.
const XXH3: u8 = 0;

/// A table that a list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its file.
    pub path: PathBuf,
    /// The checksum of all its bytes.
    pub checksum: u128,
}

/// Reads which tables a keyspace has. `None` for a keyspace that was being made when the process ended: it has no list yet
/// and no tables.
///
/// # Errors
/// [`Error::Internal`] that names the file which is missing or damaged.
pub fn read(keyspace: &Path) -> Result<Option<Vec<Table>>> {
    let path = keyspace.join(CURRENT);
    let current = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && is_being_made(keyspace)? => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::Internal(format!("{} is missing: a part of the store is lost", path.display())));
        }
        Err(error) => return Err(failed_to("read", &path)(error)),
    };
    let (number, checksum) = decode_current(&current).ok_or_else(|| damaged(&path))?;
    let path = keyspace.join(format!("v{number}"));
    let list = fs::read(&path).map_err(failed_to("read", &path))?;
    if xxh3_128(&list) != checksum {
        return Err(Error::Internal(format!(
            "{} is damaged, or {CURRENT} beside it is: their checksums differ",
            path.display()
        )));
    }
    let tables = decode_list(&list, &keyspace.join("tables"));
    tables.map(Some).ok_or_else(|| damaged(&path))
}

/// True for a keyspace without tables whose first list has not been written.
fn is_being_made(keyspace: &Path) -> Result<bool> {
    let is_empty = |path: &Path| match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(failed_to("list", path)(error)),
    };
    let entries = fs::read_dir(keyspace).map_err(failed_to("list", keyspace))?;
    let mut names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    Ok(!names.any(|name| name.starts_with('v') && name != "v0") && is_empty(&keyspace.join("tables"))?)
}

fn decode_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let mut reader = Reader::new(bytes);
    let (number, checksum) = (reader.u64()?, u128::from_le_bytes(reader.take()?));
    (reader.take()? == [XXH3] && bytes.len() == 25).then_some((number, checksum))
}

/// Levels have runs, runs have tables: a number, the kind of the checksum, the checksum, a sequence number of fjall's.
fn decode_list(bytes: &[u8], directory: &Path) -> Option<Vec<Table>> {
    let archive = Archive::from_reader(&mut Cursor::new(bytes)).ok()?;
    let section = archive.toc().section(b"tables")?;
    let begin = usize::try_from(section.pos()).ok()?;
    let mut reader = Reader::new(bytes.get(begin..)?.get(..usize::try_from(section.len()).ok()?)?);
    let mut tables = Vec::new();
    let [levels] = reader.take()?;
    for _ in 0..levels {
        let [runs] = reader.take()?;
        for _ in 0..runs {
            for _ in 0..reader.u32()? {
                let path = directory.join(reader.u64()?.to_string());
                let ([XXH3], checksum, _) = (reader.take()?, u128::from_le_bytes(reader.take()?), reader.u64()?) else {
                    return None;
                };
                tables.push(Table { path, checksum });
            }
        }
    }
    Some(tables)
}

fn damaged(path: &Path) -> Error {
    Error::Internal(format!("{} is damaged", path.display()))
}
