//! A shard's part of a list of orders. It is read beside the thread that runs commands, since closed orders are on disk
//! only; what is in memory comes from a short transaction in between.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::clock;
use super::context::ShardContext;
use super::engine::ReplyTo;
use super::order_lists;
use super::records::orders;
use crate::domain::order::Recorded;
use crate::error::{Error, Result};
use crate::protocol::{CommandOutput, ListOrders, MAX_RECORD_REPLY_BYTES, encode_reply};
use crate::routing::{KeyHash, OrderId};
use crate::storage::{Record, RecordKey, RecordKind, Storage, codec};

/// The places of orders that one command looks at. A filter that fits few of them ends the part early.
const MAX_SEEN: usize = 10_000;
/// The places that are read at once.
const PAGE_ENTRIES: usize = 256;
/// The size of orders, in bytes, past which the part ends early: with the largest order a reply still fits into a message.
const MAX_PART_BYTES: usize = 1 << 20;
/// The most bytes of a part.
pub const MAX_REPLY_BYTES: usize = MAX_PART_BYTES + MAX_RECORD_REPLY_BYTES;
/// The time after which reading orders ends the part early.
const READ_TIME: Duration = Duration::from_secs(1);

/// Reads a part of a list, and replies.
pub fn start(context: &Arc<ShardContext>, list: ListOrders, expires: Instant, reply_to: ReplyTo) {
    let Some(place) = context.reads.place() else {
        let error = Error::Unavailable("too many requests wait for the shard's disk".into());
        return reply_to.send(encode_reply(Err(error), clock::now()));
    };
    let context = context.clone();
    tokio::spawn(async move {
        let output = read(&context, list, expires).await;
        reply_to.send(encode_reply(output, clock::now()));
        drop(place);
    });
}

/// The orders of a part by their places in the list.
struct Found {
    orders: Vec<OrderId>,
    /// The order up to which places were looked at; `None` when there are no more.
    reached: Option<OrderId>,
}

/// An order of a part.
enum Order {
    /// Its record, if it was not removed meanwhile.
    Read(Option<Vec<u8>>),
    /// Its record is in storage.
    Stored(OrderId),
}

async fn read(context: &ShardContext, list: ListOrders, expires: Instant) -> Result<CommandOutput> {
    let slots = context.identity.slots();
    let owner = list.customer.as_ref().map_or_else(|| order_lists::of_shard(&slots), |customer| customer.hash());
    let asked = list.clone();
    let found = context.reads.run("a list of orders", expires, move |storage| find(storage, &slots, owner, &asked));
    let Found { orders: ids, mut reached } = found.await?;
    let wanted = ids.clone();
    let orders: Vec<_> = context
        .coordinator
        .transact(move |txn| {
            let unstored = wanted.into_iter().map(|id| (id, orders::find_unstored(txn, id)));
            unstored.map(|(id, record)| record.map_or(Order::Stored(id), |record| Order::Read(Some(record)))).collect()
        })
        .await;
    let records = context
        .reads
        .run("a list of orders", expires, move |storage| {
            read_stored(orders, |id| storage.get(orders::stored_key(id).key()))
        })
        .await?;
    if records.len() < ids.len() {
        reached = records.len().checked_sub(1).map(|last| ids[last]);
    }
    let mut fitting = Vec::with_capacity(records.len());
    for (id, record) in ids.iter().zip(records) {
        let Some(record) = record else { continue };
        let order = codec::decode_order(&record).map_err(|error| Error::Internal(format!("order {id}: {error}")))?;
        let state = order.recorded_state();
        // The place is as old as the last commit; and customers may share a hash.
        let is_customers = list.customer.is_none() || list.customer == order.customer;
        if is_customers && list.filter.accepts(state.status.kind(), state.payment) {
            fitting.push(Bytes::from(record));
        }
    }
    Ok(CommandOutput::orders(fitting, reached))
}

/// Looks for the places of orders that the filter accepts, one more than wanted to know whether there are more.
fn find(storage: &dyn Storage, slots: &RangeInclusive<u16>, owner: KeyHash, list: &ListOrders) -> Result<Found> {
    let key = |id: &[u8]| Record::new(RecordKey { hash: owner, kind: RecordKind::OrderEntry, id }, b"").key().to_vec();
    let mut after = key(&list.after.map(order_lists::entry_id).map_or(Vec::new(), Vec::from));
    let mut found = Found { orders: Vec::new(), reached: None };
    let mut seen = 0;
    loop {
        let page = storage.scan(RecordKind::OrderEntry, slots, &after, PAGE_ENTRIES)?;
        for record in &page.records {
            if found.take(owner, record, list)?.is_break() {
                return Ok(found);
            }
        }
        seen += PAGE_ENTRIES;
        match page.next.filter(|next| next.starts_with(&key(&[]))) {
            Some(next) if seen < MAX_SEEN => after = next,
            Some(next) => return Ok(Found { reached: order_lists::order_of(&next[key(&[]).len()..]), ..found }),
            None => return Ok(Found { reached: None, ..found }),
        }
    }
}

impl Found {
    /// Takes the next place. Breaks when the part is over.
    fn take(&mut self, owner: KeyHash, record: &Record, list: &ListOrders) -> Result<ControlFlow<()>> {
        let key = record.parsed_key().filter(|key| key.hash == owner);
        let Some(id) = key.and_then(|key| order_lists::order_of(key.id)) else {
            self.reached = None;
            return Ok(ControlFlow::Break(()));
        };
        let entry = codec::decode_order_entry(record.value())?;
        if list.filter.accepts(entry.status, entry.payment) {
            if self.orders.len() == list.limit as usize {
                return Ok(ControlFlow::Break(()));
            }
            self.orders.push(id);
        }
        self.reached = Some(id);
        Ok(ControlFlow::Continue(()))
    }
}

/// Reads the records that are in storage, until the part is large enough or the time is over.
fn read_stored(orders: Vec<Order>, read: impl Fn(OrderId) -> Result<Option<Vec<u8>>>) -> Result<Vec<Option<Vec<u8>>>> {
    let started = Instant::now();
    let (mut records, mut bytes) = (Vec::with_capacity(orders.len()), 0);
    for order in orders {
        if !records.is_empty() && (bytes >= MAX_PART_BYTES || started.elapsed() >= READ_TIME) {
            break;
        }
        let record = match order {
            Order::Read(record) => record,
            Order::Stored(id) => read(id)?,
        };
        bytes += record.as_ref().map_or(0, Vec::len);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::domain::order::{OrderStatus, PaymentStatus};
    use crate::protocol::{MAX_REPLY_BATCH_BYTES, MAX_REPLY_MESSAGE_BYTES, OrderFilter};
    use crate::routing::Slot;
    use crate::storage::codec::OrderEntry;
    use crate::storage::{MemoryStorage, Write};

    const SLOTS: RangeInclusive<u16> = 100..=200;

    fn id(number: u64) -> OrderId {
        OrderId::new(Slot(150), number, 0)
    }

    fn put(owner: KeyHash, order: OrderId, status: OrderStatus) -> Write {
        let entry = OrderEntry { version: 1, status, payment: PaymentStatus::None };
        let key = RecordKey { hash: owner, kind: RecordKind::OrderEntry, id: &order_lists::entry_id(order) };
        Write::Put(Record::new(key, &codec::encode_order_entry(&entry)))
    }

    /// Orders 1 to `newest`, of which the oldest is pending, and one in the list of a customer.
    fn storage(newest: u64) -> MemoryStorage {
        let storage = MemoryStorage::default();
        let owner = order_lists::of_shard(&SLOTS);
        let status = |number| if number == 1 { OrderStatus::Pending } else { OrderStatus::Created };
        let mut writes: Vec<_> = (1..=newest).map(|number| put(owner, id(number), status(number))).collect();
        writes.push(put(KeyHash::from_bits(Slot(120).hashes().start + 7), id(1), OrderStatus::Pending));
        storage.commit_next(&writes).unwrap();
        storage
    }

    fn part(storage: &MemoryStorage, status: Option<OrderStatus>, after: Option<OrderId>, limit: u32) -> Found {
        let filter = OrderFilter { status, payment: None };
        let list = ListOrders { customer: None, filter, after, limit };
        find(storage, &SLOTS, order_lists::of_shard(&SLOTS), &list).unwrap()
    }

    #[test]
    fn a_part_ends_at_its_limit_or_at_the_end_of_the_list() {
        let storage = storage(1_000);
        let first = part(&storage, None, None, 3);
        assert_eq!((first.orders, first.reached), ([1_000, 999, 998].map(id).to_vec(), Some(id(998))));
        let last = part(&storage, None, Some(id(3)), 2);
        assert_eq!((last.orders, last.reached), ([2, 1].map(id).to_vec(), None), "nothing of the customer's list");
        assert_eq!(part(&storage, None, Some(id(1)), 2).reached, None);
        let all = part(&storage, None, None, 1_000);
        assert_eq!((all.orders.len(), all.reached), (1_000, None));
    }

    #[test]
    fn a_filter_that_fits_little_ends_the_part_early() {
        let newest = 3 * MAX_SEEN as u64;
        let storage = storage(newest);
        let (mut after, mut parts, mut orders) = (None, 0, Vec::new());
        loop {
            let part = part(&storage, Some(OrderStatus::Pending), after, 10);
            orders.extend(part.orders);
            parts += 1;
            after = part.reached;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((orders, parts), (vec![id(1)], 3));
    }

    /// The number of orders in a part, when there are `count` of so many bytes, and reading one takes `time`.
    fn orders_in_part(count: u64, bytes: usize, time: Duration) -> usize {
        let read = |_| {
            std::thread::sleep(time);
            Ok(Some(vec![0; bytes]))
        };
        read_stored((0..count).map(|number| Order::Stored(id(number))).collect(), read).unwrap().len()
    }

    #[test]
    fn the_largest_part_fits_into_a_message_that_is_almost_full() {
        let record = Bytes::from(vec![0; MAX_RECORD_REPLY_BYTES]);
        let records = MAX_PART_BYTES / MAX_RECORD_REPLY_BYTES + 1;
        let part = CommandOutput::orders(vec![record; records], Some(id(1)));
        let reply = encode_reply(Ok(part), clock::now()).encoded_len();
        assert!(reply >= MAX_REPLY_BYTES, "{reply} bytes");
        assert!(MAX_REPLY_BATCH_BYTES + reply < MAX_REPLY_MESSAGE_BYTES, "{reply} bytes");
    }

    #[test]
    fn a_part_ends_once_it_is_large_or_late_and_has_an_order_at_least() {
        for (bytes, orders) in [(0, 100), (MAX_PART_BYTES / 4, 4), (MAX_PART_BYTES / 4 - 1, 5), (2 * MAX_PART_BYTES, 1)]
        {
            assert_eq!(orders_in_part(100, bytes, Duration::ZERO), orders, "{bytes} bytes each");
        }
        assert_eq!(orders_in_part(100, 0, READ_TIME), 1);
        assert_eq!(orders_in_part(0, 0, READ_TIME), 0);
    }
}
