//! Fills a fresh shard with its part of a catalogue, before it serves anybody.

use std::io::Write as _;
use std::ops::RangeInclusive;

use super::identity::Identity;
use super::writer::COUNTER_KEY;
use crate::catalog::{self, Catalog};
use crate::codec;
use crate::domain::product::{NewProduct, Product};
use crate::error::{Error, Result};
use crate::key::Kind;
use crate::record::Record;
use crate::storage::{Storage, Write};

/// Products in one commit, and between two progress lines.
const BATCH: usize = 4_096;

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
        self.batch.push(Write::Put(Record::new(hash, Kind::Product, id, &codec::encode_product(&product))));
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
/// [`Error::Fault`] without the file, or when storage fails; [`Error::Invalid`] that names a bad row.
pub fn fill(storage: &dyn Storage, identity: &Identity, catalog: &Catalog) -> Result<()> {
    let Catalog::File(path) = catalog else {
        return Err(Error::Fault(
            "filling this shard with a catalogue was interrupted: start it with the same --catalog FILE".into(),
        ));
    };
    catalog::read(path, |_, _| Ok(()))?;
    let slots = identity.slots();
    let mut filler = Filler::default();
    catalog::read(path, |new, _| {
        if slots.contains(&new.id.hash().slot().0) {
            filler.push(new);
        }
        if filler.batch.len() < BATCH {
            return Ok(());
        }
        // Nobody may be reading; filling goes on all the same.
        let _ = writeln!(std::io::stdout(), "progress filling, {} products", filler.counter);
        storage.write(&filler.take())?;
        storage.sync()
    })?;
    storage.write(&filler.take())?;
    identity.filled(storage)
}
