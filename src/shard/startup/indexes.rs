//! Builds the indexes over orders that a directory of an earlier release lacks, before the shard serves. An interrupted
//! build begins again with the next start: writing an entry twice changes nothing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::identity::Identity;
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::order::OrderRecord;
use crate::error::{Error, Result};
use crate::process::announce::Progress;
use crate::process::shutdown::Shutdown;
use crate::routing::OrderId;
use crate::shard::disk::DiskLimit;
use crate::shard::engine::State;
use crate::shard::order_lists;
use crate::storage::codec::{self, OrderDeliveries, OrderEntry};
use crate::storage::{Record, RecordKey, RecordKind, Storage, Write};

/// The records read at once, whose entries are one commit.
const PAGE_RECORDS: usize = 1_024;
/// The most deliveries of one order in its index. Earlier releases made any number of an order; more than these are not
/// cancelled with it.
const MAX_DELIVERIES: usize = 4;

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
    let room = || {
        if shutdown.is_requested() {
            return Err(Error::Unavailable("asked to end before the indexes of orders were built".into()));
        }
        disk.check()
    };
    let listed = each_page(storage, RecordKind::Order, &slots, room, |page| {
        let entries = page.iter().map(|record| entries(record, &slots)).collect::<Result<Vec<_>>>()?;
        Ok(entries.concat())
    })?;
    each_page(storage, RecordKind::Delivery, &slots, room, |page| deliveries(storage, page))?;
    // After the closed ones, since an open record is newer than a closed one of the same order.
    let mut open = Vec::new();
    state.each(RecordKind::OpenOrder, |record| open.push(entries(record, &slots)));
    identity.note_indexed(storage, open.into_iter().collect::<Result<Vec<_>>>()?.concat())?;
    tracing::info!(orders = listed, "built the indexes of orders, which the release before had not");
    Ok(())
}

/// Commits what `writes` makes of each page of records, and returns their number.
fn each_page(
    storage: &dyn Storage,
    kind: RecordKind,
    slots: &RangeInclusive<u16>,
    room: impl Fn() -> Result<()>,
    writes: impl Fn(&[Record]) -> Result<Vec<Write>>,
) -> Result<usize> {
    let mut progress = Progress::delayed();
    let (mut after, mut count) = (Some(Vec::new()), 0);
    while let Some(from) = after {
        room()?;
        let page = storage.scan(kind, slots, &from, PAGE_RECORDS)?;
        storage.commit_next(&writes(&page.records)?)?;
        count += page.records.len();
        progress.print(format_args!("indexing, {count} orders or deliveries"));
        after = page.next;
    }
    Ok(count)
}

fn entries(record: &Record, slots: &RangeInclusive<u16>) -> Result<Vec<Write>> {
    let order: OrderRecord = codec::decode_order(record.value())?;
    let (id, entry) = (order_lists::entry_id(order.id), codec::encode_order_entry(&OrderEntry::of(&order)));
    let put = |hash| Write::Put(Record::new(RecordKey { hash, kind: RecordKind::OrderEntry, id: &id }, &entry));
    Ok(order_lists::owners(&order, slots).map(put).collect())
}

/// The records of the orders of some deliveries, with the deliveries that they have so far.
fn deliveries(storage: &dyn Storage, page: &[Record]) -> Result<Vec<Write>> {
    let mut orders: BTreeMap<OrderId, Vec<Delivery>> = BTreeMap::new();
    for record in page {
        let delivery = codec::decode_delivery(record.value())?;
        orders.entry(delivery.order).or_default().push(delivery);
    }
    orders.into_iter().map(|(order, found)| deliveries_of(storage, order, found)).collect()
}

fn deliveries_of(storage: &dyn Storage, order: OrderId, mut found: Vec<Delivery>) -> Result<Write> {
    let key = RecordKey { hash: order.hash(), kind: RecordKind::OrderDeliveries, id: order.as_bytes() };
    let known = storage.get(Record::new(key, b"").key())?;
    for id in
        known.map(|known| codec::decode_order_deliveries(&known)).transpose()?.map_or(Vec::new(), |it| it.deliveries)
    {
        let key = RecordKey { hash: id.hash(), kind: RecordKind::Delivery, id: id.as_bytes() };
        found
            .extend(storage.get(Record::new(key, b"").key())?.map(|known| codec::decode_delivery(&known)).transpose()?);
    }
    found.retain(|delivery| delivery.status != DeliveryStatus::Cancelled);
    // Those that were dispatched first: they decide whether the order can be cancelled.
    found.sort_by_key(|delivery| (delivery.status == DeliveryStatus::Scheduled, delivery.id));
    found.dedup_by_key(|delivery| delivery.id);
    found.truncate(MAX_DELIVERIES);
    let version = found.iter().map(|delivery| delivery.version).max().unwrap_or(0);
    let deliveries = found.iter().map(|delivery| delivery.id).collect();
    let record = codec::encode_order_deliveries(&OrderDeliveries { version, deliveries });
    Ok(Write::Put(Record::new(key, &record)))
}
