//! The counts of decided orders at the start: as stored or, of a directory of an earlier release, counted once.

use std::ops::RangeInclusive;

use crate::domain::order::{OrderCounts, Recorded};
use crate::error::{Error, Result};
use crate::process::announce::Progress;
use crate::process::shutdown::Shutdown;
use crate::shard::engine::{OrderTally, State};
use crate::storage::codec;
use crate::storage::{ORDER_COUNTS_KEY, Record, RecordKey, RecordKind, Storage};

/// The orders that are read at once.
const PAGE_RECORDS: usize = 1_024;

/// The counts of a shard whose records of `state` have been loaded.
///
/// # Errors
/// [`Error::Internal`] when storage cannot be read or a record is damaged; [`Error::Unavailable`] when a shutdown is requested.
pub fn load(
    storage: &dyn Storage,
    slots: &RangeInclusive<u16>,
    state: &State,
    shutdown: &Shutdown,
) -> Result<OrderTally> {
    if let Some(stored) = storage.get(ORDER_COUNTS_KEY)? {
        return codec::decode_order_counts(&stored).map(OrderTally::stored);
    }
    let mut counts = OrderCounts::default();
    let mut count = |record: &Record| -> Result<()> {
        counts.enter(codec::decode_order(record.value())?.recorded_state().status.kind());
        Ok(())
    };
    let mut open = Ok(());
    state.each(RecordKind::OpenOrder, |record| {
        if open.is_ok() {
            open = count(record);
        }
    });
    open?;
    let mut progress = Progress::delayed();
    let (mut after, mut seen) = (Some(Vec::new()), 0);
    while let Some(from) = after {
        if shutdown.is_requested() {
            return Err(Error::Unavailable("asked to end before the orders were counted".into()));
        }
        let page = storage.scan(RecordKind::Order, slots, &from, PAGE_RECORDS)?;
        // The open record of an order is newer than its closed one.
        let is_closed = |record: &&Record| {
            let key = record.parsed_key();
            key.is_some_and(|key| state.get(RecordKey { kind: RecordKind::OpenOrder, ..key }).is_none())
        };
        page.records.iter().filter(is_closed).try_for_each(&mut count)?;
        seen += page.records.len();
        progress.print(format_args!("counting, {seen} orders"));
        after = page.next;
    }
    Ok(OrderTally::found(counts))
}
