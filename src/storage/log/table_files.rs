//! Checks the files of the tables before fjall opens them.
//!
//! fjall would not miss some of them: it takes a keyspace without `current` for one that was being made, and removes it;
//! without a journal it begins its sequence numbers anew, and old values show again. It would take two tables whose files
//! were swapped, or one of another store, and show old values or none. So every table has to have the checksum that
//! fjall's list gives. To read all of them at every start would take long, so the file `checked` keeps what was found
//! once: a table with this checksum has this length and this end. That stays true wherever the file comes from, so it can
//! be lost, old or foreign. Damage further inside is found by the checksums of blocks, when they are read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::bytes::Reader;
use super::table_list::{self, Table};
use crate::error::{Error, Result};
use crate::process::files::{self, failed_to};
use crate::storage::fjall::VERSION_FILE;

/// The file that keeps what was found.
const CHECKED: &str = "checked";
const MAGIC: [u8; 8] = *b"scarttab";
/// The content of fjall's file `version`.
const FJALL_FORMAT: &[u8] = b"FJL\x03";
/// The end of a table that is looked at, in bytes: it has the table's number, time, sizes and range of keys.
const END_BYTES: u64 = 4096;
/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// The length and the CRC32C of the end of a table.
type Ends = HashMap<u128, (u64, u32)>;

/// How much of each table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of those that were never read, the end of the others.
    New,
    /// All of all.
    All,
}

/// Refuses tables of which a file is missing, damaged, old or of another store.
///
/// # Errors
/// [`Error::Internal`] that names the file.
pub fn check(directory: &Path, depth: Depth) -> Result<()> {
    if !directory.join(VERSION_FILE).exists() {
        let keyspaces = directory.join("keyspaces");
        return match keyspaces.is_dir() && !list(&keyspaces)?.is_empty() {
            true => Err(missing(&directory.join(VERSION_FILE))),
            false => Ok(()),
        };
    }
    check_version_and_journal(directory)?;
    let known = read_checked(directory);
    let mut found = Ends::new();
    for table in tables(directory)? {
        let end = match known.get(&table.checksum).filter(|_| depth == Depth::New) {
            Some(known) => check_end(&table, *known)?,
            None => check_all(&table)?,
        };
        found.insert(table.checksum, end);
    }
    if found != known && depth == Depth::New {
        write_checked(directory, &found);
    }
    Ok(())
}

/// Notes the tables that this process has made, so that the next start need not read all of them. Tables may come and go
/// meanwhile: what cannot be noted is read by the next start.
pub fn note(directory: &Path) {
    let Ok(tables) = tables(directory) else { return };
    let known = read_checked(directory);
    let end = |table: Table| {
        let end = known.get(&table.checksum).copied().map_or_else(|| end_of(&table.path), Ok);
        Some((table.checksum, end.ok()?))
    };
    let found: Ends = tables.into_iter().filter_map(end).collect();
    if found != known {
        write_checked(directory, &found);
    }
}

/// The bytes of all tables, as far as they can be asked.
pub fn total_bytes(directory: &Path) -> u64 {
    let tables = tables(directory).unwrap_or_default();
    tables.iter().filter_map(|table| fs::metadata(&table.path).ok()).map(|metadata| metadata.len()).sum()
}

/// The tables of all keyspaces.
fn tables(directory: &Path) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for keyspace in list(&directory.join("keyspaces"))? {
        let is_number = keyspace.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok()).is_some();
        if !is_number || !keyspace.is_dir() {
            return Err(Error::Internal(format!("{} does not belong there", keyspace.display())));
        }
        tables.extend(table_list::read(&keyspace)?.unwrap_or_default());
    }
    Ok(tables)
}

fn check_version_and_journal(directory: &Path) -> Result<()> {
    let version = directory.join(VERSION_FILE);
    if fs::read(&version).map_err(failed_to("read", &version))? != FJALL_FORMAT {
        return Err(Error::Internal(format!("{} is damaged", version.display())));
    }
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jnl");
    let journals: Vec<_> = list(directory)?.into_iter().filter(is_journal).collect();
    if journals.is_empty() {
        return Err(missing(&directory.join("*.jnl")));
    }
    for journal in journals {
        // It stays empty: what fjall would find in it is not of this store.
        let mut first = Vec::new();
        let read = File::open(&journal).and_then(|file| file.take(END_BYTES).read_to_end(&mut first));
        read.map_err(failed_to("read", &journal))?;
        if first.iter().any(|byte| *byte != 0) {
            return Err(Error::Internal(format!("{} should be empty: it is damaged or foreign", journal.display())));
        }
    }
    Ok(())
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<std::io::Result<Vec<_>>>()
    });
    entries.map_err(failed_to("list", directory))
}

fn missing(path: &Path) -> Error {
    Error::Internal(format!("{} is missing: a part of the store is lost", path.display()))
}

fn opened(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(path),
        _ => failed_to("open", path)(error),
    })
}

fn check_end(table: &Table, known: (u64, u32)) -> Result<(u64, u32)> {
    let end = end_of(&table.path)?;
    if end == known { Ok(end) } else { Err(not_the_table(table)) }
}

fn check_all(table: &Table) -> Result<(u64, u32)> {
    let mut file = opened(&table.path)?;
    let mut hasher = Xxh3Default::new();
    let mut bytes = vec![0; READ_BYTES];
    loop {
        match file.read(&mut bytes).map_err(failed_to("read", &table.path))? {
            0 => break,
            count => hasher.update(&bytes[..count]),
        }
    }
    if hasher.digest128() == table.checksum { end_of(&table.path) } else { Err(not_the_table(table)) }
}

fn not_the_table(table: &Table) -> Error {
    Error::Internal(format!(
        "{} is damaged, old or of another store: its checksum is not the one in the list of tables",
        table.path.display()
    ))
}

fn end_of(path: &Path) -> Result<(u64, u32)> {
    let file = opened(path)?;
    let read = || {
        let length = file.metadata()?.len();
        let count = length.min(END_BYTES);
        let mut bytes = vec![0; count as usize];
        file.read_exact_at(&mut bytes, length - count)?;
        Ok((length, crc32c::crc32c(&bytes)))
    };
    read().map_err(failed_to("read", path))
}

fn read_checked(directory: &Path) -> Ends {
    fs::read(directory.join(CHECKED)).ok().and_then(|bytes| decode_checked(&bytes)).unwrap_or_default()
}

fn decode_checked(bytes: &[u8]) -> Option<Ends> {
    let mut reader = Reader::new(bytes);
    if reader.take()? != MAGIC {
        return None;
    }
    let mut ends = Ends::new();
    for _ in 0..reader.u32()? {
        ends.insert(u128::from_le_bytes(reader.take()?), (reader.u64()?, reader.u32()?));
    }
    reader.checksum()?;
    Some(ends)
}

/// Writes the file; without it the next start takes longer.
fn write_checked(directory: &Path, ends: &Ends) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(ends.len() as u32).to_le_bytes());
    for (checksum, (length, end)) in ends {
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&end.to_le_bytes());
    }
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    if let Err(error) = files::replace(&directory.join(CHECKED), &bytes, |path| File::create(path)) {
        tracing::warn!(%error, "which tables are checked cannot be noted: the next start reads all of them");
    }
}
