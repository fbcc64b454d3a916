//! Fills a fresh shard with its part of a catalogue, before it serves anybody.

use std::io::Write as _;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use super::identity::{Filling, Identity};
use super::writer::COUNTER_KEY;
use crate::catalog::{self, Catalog, CatalogSummary};
use crate::domain::product::{NewProduct, Product};
use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::storage::Record;
use crate::storage::RecordKind;
use crate::storage::codec;
use crate::storage::{Storage, Write};

/// Products in one commit, and between two looks at the clock.
const BATCH: usize = 4_096;
/// How often a progress line is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Puts products one after the other, each under the next version of a fresh counter.
#[derive(Default)]
struct Filler {
    batch: Vec<Write>,
    counter: u64,
}

impl Filler {
    fn push(&mut self, new: NewProduct) {
        self.counter += 1;
        let product = Product::new(new.details, new.stock, self.counter);
        let (hash, id) = (new.id.hash(), new.id.as_str().as_bytes());
        self.batch.push(Write::Put(Record::new(hash, RecordKind::Product, id, &codec::encode_product(&product))));
    }

    /// The products so far, and the counter that must not be behind them.
    fn take(&mut self) -> Vec<Write> {
        self.batch.push(Write::Put(Record::from_parts(COUNTER_KEY, &self.counter.to_be_bytes())));
        std::mem::take(&mut self.batch)
    }
}

/// The sample's products that fall into some slots.
pub fn sample_records(slots: &RangeInclusive<u16>) -> Vec<Write> {
    let mut filler = Filler::default();
    let ours = catalog::sample().into_iter().filter(|new| slots.contains(&new.id.hash().slot().0));
    ours.for_each(|new| filler.push(new));
    filler.take()
}

/// Writes a shard's part of a catalogue file. Nothing is written before the whole file is checked; one
/// that was interrupted is written again from its beginning, which ends the same.
///
/// # Errors
/// [`Error::Fault`] without the file that was begun with, or when storage fails; [`Error::Invalid`] that
/// names a bad row; [`Error::Unavailable`] when a shutdown is asked for.
pub fn fill(storage: &dyn Storage, identity: &Identity, catalog: &Catalog, shutdown: &Shutdown) -> Result<()> {
    let interrupted = identity.interrupted_filling();
    let Catalog::File(path) = catalog else {
        return Err(other_file(&interrupted.unwrap_or_default(), catalog));
    };
    let mut progress = Progress::default();
    let mut rows = 0;
    let checked = catalog::read(path, |_, _| {
        rows += 1;
        if rows % BATCH as u64 == 0 { progress.tell("checking the catalogue", rows, shutdown) } else { Ok(()) }
    })?;
    let file = Filling { file: path.display().to_string(), sha256: checked.digest.to_string() };
    match interrupted {
        Some(begun) if begun.sha256 != file.sha256 => return Err(other_file(&begun, catalog)),
        Some(_) => {}
        None => identity.fill_from(storage, file)?,
    }
    write(storage, identity, path, checked, shutdown)
}

fn write(
    storage: &dyn Storage,
    identity: &Identity,
    path: &Path,
    checked: CatalogSummary,
    shutdown: &Shutdown,
) -> Result<()> {
    let slots = identity.slots();
    let (mut filler, mut progress) = (Filler::default(), Progress::default());
    let written = catalog::read(path, |new, _| {
        if slots.contains(&new.id.hash().slot().0) {
            filler.push(new);
        }
        if filler.batch.len() < BATCH {
            return Ok(());
        }
        storage.write(&filler.take())?;
        storage.sync()?;
        progress.tell("filling", filler.counter, shutdown)
    })?;
    if written != checked {
        return Err(Error::Fault(format!("{}: was changed while it was read", path.display())));
    }
    identity.filled(storage, filler.take())
}

fn other_file(begun: &Filling, catalog: &Catalog) -> Error {
    Error::Fault(format!(
        "filling this shard with a catalogue was interrupted: start it with --catalog {}, as that file was then; \
         --catalog {catalog} is not it",
        begun.file
    ))
}

/// Says how far it is, now and then, and stops when that is asked for.
#[derive(Default)]
struct Progress {
    told: Option<Instant>,
}

impl Progress {
    fn tell(&mut self, what: &str, products: u64, shutdown: &Shutdown) -> Result<()> {
        if shutdown.is_requested() {
            return Err(Error::Unavailable("asked to end before the catalogue was written".into()));
        }
        if self.told.is_none_or(|told| told.elapsed() >= PROGRESS_INTERVAL) {
            self.told = Some(Instant::now());
            // Nobody may be reading; it goes on all the same.
            let _ = writeln!(std::io::stdout(), "progress {what}, {products} products");
        }
        Ok(())
    }
}
