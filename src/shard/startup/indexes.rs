//! Builds the indexes over orders that a directory of an earlier release lacks, before the shard serves. An interrupted
//! build begins again with the next start: writing an entry twice changes nothing.

use std::ops::RangeInclusive;

use super::identity::Identity;
use crate::domain::order::OrderRecord;
use crate::error::{Error, Result};
use crate::process::announce::Progress;
use crate::process::shutdown::Shutdown;
use crate::shard::disk::DiskLimit;
use crate::shard::engine::State;
use crate::shard::order_lists;
use crate::storage::codec::{self, OrderEntry};
use crate::storage::{Record, RecordKey, RecordKind, Storage, Write};

/// The records read at once, whose entries are one commit.
const PAGE_RECORDS: usize = 1_024;

/// Builds what is missing. The records of `state` have been loaded.
///
/// # Errors
/// [`Error::Internal`] when storage fails or a record is damaged; [`Error::Unavailable`] when a shutdown is requested or
/// the disk is nearly full. The next start goes on.
pub fn build(
    storage: &dyn Storage,
    identity: &Identity,
    state: &State,
    (disk, shutdown): (&DiskLimit, &Shutdown),
) -> Result<()> {
    if identity.is_indexed() {
        return Ok(());
    }
    let slots = identity.slots();
    let mut progress = Progress::delayed();
    let (mut after, mut count) = (Some(Vec::new()), 0);
    while let Some(from) = after {
        if shutdown.is_requested() {
            return Err(Error::Unavailable("asked to end before the lists of orders were built".into()));
        }
        disk.check()?;
        let page = storage.scan(RecordKind::Order, &slots, &from, PAGE_RECORDS)?;
        let entries = page.records.iter().map(|record| entries(record, &slots)).collect::<Result<Vec<_>>>()?;
        storage.commit_next(&entries.concat())?;
        count += page.records.len();
        progress.print(format_args!("listing, {count} orders"));
        after = page.next;
    }
    // After the closed ones, since an open record is newer than a closed one of the same order.
    let mut open = Vec::new();
    state.each(RecordKind::OpenOrder, |record| open.push(entries(record, &slots)));
    identity.note_indexed(storage, open.into_iter().collect::<Result<Vec<_>>>()?.concat())?;
    tracing::info!(orders = count, "built the lists of orders, which the release before had not");
    Ok(())
}

fn entries(record: &Record, slots: &RangeInclusive<u16>) -> Result<Vec<Write>> {
    let order: OrderRecord = codec::decode_order(record.value())?;
    let (id, entry) = (order_lists::entry_id(order.id), codec::encode_order_entry(&OrderEntry::of(&order)));
    let put = |hash| Write::Put(Record::new(RecordKey { hash, kind: RecordKind::OrderEntry, id: &id }, &entry));
    Ok(order_lists::owners(&order, slots).map(put).collect())
}
