//! Imports a shard's part of a catalog into a new store, before the shard serves.

use std::ops::RangeInclusive;
use std::path::Path;

use super::identity::{Identity, PendingImport};
use crate::catalog::{self, Catalog, CatalogSummary};
use crate::domain::product::{NewProduct, Product};
use crate::error::{Error, Result};
use crate::process::announce;
use crate::process::shutdown::Shutdown;
use crate::shard::disk::DiskLimit;
use crate::storage::codec;
use crate::storage::{COUNTER_KEY, Record, RecordKey, RecordKind, Storage, Write};

/// The number of products in one commit, and between two checks of the clock.
const BATCH: usize = 4_096;

/// What ends an import early: a disk that is nearly full, and a shutdown. The next start goes on.
type Limits<'a> = (&'a DiskLimit, &'a Shutdown);

/// Collects the writes of products, each under the next version of a new counter.
#[derive(Default)]
struct Importer {
    batch: Vec<Write>,
    counter: u64,
}

impl Importer {
    fn push(&mut self, new: NewProduct) {
        self.counter += 1;
        let product = Product::new(new.details, new.stock, self.counter);
        let key = RecordKey { hash: new.id.hash(), kind: RecordKind::Product, id: new.id.as_str().as_bytes() };
        self.batch.push(Write::Put(Record::new(key, &codec::encode_product(&product))));
    }

    /// Takes the writes so far, with the counter, which must not be behind their versions.
    fn take(&mut self) -> Vec<Write> {
        self.batch.push(Write::Put(Record::from_parts(COUNTER_KEY, &self.counter.to_be_bytes())));
        std::mem::take(&mut self.batch)
    }
}

/// The sample's products in these slots.
pub fn sample_records(slots: &RangeInclusive<u16>) -> Vec<Write> {
    let mut importer = Importer::default();
    let ours = catalog::sample().into_iter().filter(|new| slots.contains(&new.id.hash().slot().0));
    ours.for_each(|new| importer.push(new));
    importer.take()
}

/// Imports a shard's part of a catalog file. Nothing is written before the whole file is checked.
///
/// # Errors
/// [`Error::Internal`] when the file changes meanwhile or storage fails; [`Error::Invalid`] that names a bad row;
/// [`Error::Unavailable`] when a shutdown is requested or the disk is nearly full.
pub fn import(storage: &dyn Storage, identity: &Identity, path: &Path, limits: Limits<'_>) -> Result<()> {
    let checked = check(path, limits.1)?;
    let file = PendingImport { file: path.display().to_string(), sha256: checked.digest.to_string() };
    identity.begin_import(storage, file)?;
    write(storage, identity, path, checked, limits)
}

/// Finishes an interrupted import. Writing the same file again from its beginning gives the same records.
///
/// # Errors
/// As for [`import`], and [`Error::Internal`] when the catalog is not the file whose import was interrupted.
pub fn resume(
    storage: &dyn Storage,
    identity: &Identity,
    begun: &PendingImport,
    catalog: &Catalog,
    limits: Limits<'_>,
) -> Result<()> {
    let Catalog::File(path) = catalog else { return Err(other_file(begun, catalog)) };
    let checked = check(path, limits.1)?;
    if begun.sha256 != checked.digest.to_string() {
        return Err(other_file(begun, catalog));
    }
    write(storage, identity, path, checked, limits)
}

fn check(path: &Path, shutdown: &Shutdown) -> Result<CatalogSummary> {
    let mut progress = Progress::default();
    let mut rows = 0;
    catalog::read(path, |_, _| {
        rows += 1;
        if rows % BATCH as u64 == 0 { progress.tell("checking the catalog", rows, shutdown) } else { Ok(()) }
    })
}

fn write(
    storage: &dyn Storage,
    identity: &Identity,
    path: &Path,
    checked: CatalogSummary,
    (disk, shutdown): Limits<'_>,
) -> Result<()> {
    let slots = identity.slots();
    let room = || if storage.is_volatile() { Ok(()) } else { disk.check() };
    room()?;
    let (mut importer, mut progress) = (Importer::default(), Progress::default());
    let written = catalog::read(path, |new, _| {
        if slots.contains(&new.id.hash().slot().0) {
            importer.push(new);
        }
        if importer.batch.len() < BATCH {
            return Ok(());
        }
        room()?;
        storage.commit_next(&importer.take())?;
        progress.tell("filling", importer.counter, shutdown)
    })?;
    if written != checked {
        return Err(Error::Internal(format!("{}: was changed while it was read", path.display())));
    }
    identity.finish_import(storage, importer.take())
}

fn other_file(begun: &PendingImport, catalog: &Catalog) -> Error {
    Error::Internal(format!(
        "the import of {} was interrupted; start again with --catalog {} (unchanged), not {catalog}",
        begun.file, begun.file
    ))
}

/// Prints progress lines, and stops the import when a shutdown is requested.
#[derive(Default)]
struct Progress(announce::Progress);

impl Progress {
    fn tell(&mut self, what: &str, products: u64, shutdown: &Shutdown) -> Result<()> {
        if shutdown.is_requested() {
            return Err(Error::Unavailable("asked to end before the catalog was written".into()));
        }
        self.0.print(format_args!("{what}, {products} products"));
        Ok(())
    }
}
