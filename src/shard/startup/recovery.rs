//! Recovers a shard's records: loads them into memory and checks each of them.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::domain::order::OrderRecord;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::process::announce::Progress;
use crate::routing::{KeyHash, ProductId};
use crate::shard::clock;
use crate::shard::engine::{ExpiryIndex, IdempotencyIndex, KeyScope, Resident, end_of_life};
use crate::storage::codec;
use crate::storage::{
    COUNTER_KEY, DigestId, HEADER_KEY, KEY_PREFIX_BYTES, Record, RecordKey, RecordKind, Storage, naming,
};

/// The number of records read between two checks of the clock.
const PROGRESS_STRIDE: u64 = 4_096;

/// The time at which a record expires, the hash of its owner, its id.
type Expiring = (Timestamp, KeyHash, DigestId);

struct Loader<'a> {
    slots: &'a RangeInclusive<u16>,
    resident: Resident,
    idempotency: Vec<(Timestamp, KeyScope, DigestId, usize)>,
    /// The idempotency keys of orders that are not closed.
    open_keys: HashSet<DigestId>,
    settlements: Vec<Expiring>,
    now: Timestamp,
    newest_version: u64,
    records: u64,
    progress: Progress,
}

/// Loads the records of some slots, makes sure that they are durable, and returns those that stay in memory.
///
/// # Errors
/// [`Error::Internal`] when storage cannot be read, or has a record that is damaged, belongs to another shard, or is
/// newer than the counter of the last commit, in which case a part of the store is missing.
pub fn recover(storage: &dyn Storage, slots: &RangeInclusive<u16>) -> Result<Resident> {
    let mut loader = Loader {
        slots,
        resident: Resident::default(),
        idempotency: Vec::new(),
        open_keys: HashSet::new(),
        settlements: Vec::new(),
        now: clock::moment().steady,
        newest_version: 0,
        records: 0,
        progress: Progress::delayed(),
    };
    storage.load(&RecordKind::LOADED, slots, &mut |key, value| loader.take(key, value))?;
    loader.finish()
}

impl Loader<'_> {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key == HEADER_KEY {
            return Ok(());
        }
        if key == COUNTER_KEY {
            let bytes = value.try_into().map_err(|_| Error::Internal("the stored counter is damaged".into()))?;
            self.resident.counter = u64::from_be_bytes(bytes);
            return Ok(());
        }
        let record = Record::from_parts(key, value);
        let (Some(hash), Some((kind, id))) =
            (record.hash(), key[..].get(KEY_PREFIX_BYTES - 1..).and_then(<[u8]>::split_first))
        else {
            return Err(Error::Internal("a stored record's key is too short".into()));
        };
        let kind = RecordKind::try_from(*kind)?;
        if !self.slots.contains(&hash.slot().0) {
            return Err(Error::Internal(format!(
                "a stored record is of slot {}, which is not this shard's",
                hash.slot().0
            )));
        }
        let version = self.check_value(kind, hash, id, value).map_err(naming(RecordKey { hash, kind, id }))?;
        self.newest_version = self.newest_version.max(version);
        if kind.is_resident() {
            self.resident.state.put(RecordKey { hash, kind, id }, record);
        }
        self.records += 1;
        self.report();
        Ok(())
    }

    /// Decodes a record, adds it to the indexes, and returns its version.
    fn check_value(&mut self, kind: RecordKind, hash: KeyHash, id: &[u8], value: &[u8]) -> Result<u64> {
        Ok(match kind {
            RecordKind::Cart => codec::decode_cart(value)?.version,
            RecordKind::Kv => codec::decode_value(value)?.version,
            RecordKind::Product => {
                let product = codec::decode_product(value)?;
                let id = std::str::from_utf8(id).map_err(|_| Error::Internal("a product's key is damaged".into()))?;
                self.resident.indexes.products.insert(&ProductId::from_stored(id), &product.details);
                self.resident.indexes.stock.add(&product);
                product.version
            }
            RecordKind::Order => codec::decode_order(value)?.version,
            RecordKind::OpenOrder => {
                let order = codec::decode_order(value)?;
                let cancel_key = match &order {
                    OrderRecord::Cancelled(order) => order.cancel_key(),
                    OrderRecord::Pending(_) | OrderRecord::Created(_) | OrderRecord::Refused(_) => None,
                };
                let keys = order.idempotency.iter().chain(cancel_key);
                self.open_keys.extend(keys.map(|key| DigestId(key.digest)));
                if let OrderRecord::Pending(order) = &order {
                    self.resident.indexes.undecided.insert(order.id);
                }
                order.version
            }
            RecordKind::Delivery => codec::decode_delivery(value)?.version,
            RecordKind::OrderEntry => codec::decode_order_entry(value)?.version,
            RecordKind::OrderDeliveries => codec::decode_order_deliveries(value)?.version,
            RecordKind::Return => {
                let returned = codec::decode_return(value)?;
                self.resident.indexes.in_doubt.push(hash, digest_id(id)?, self.now);
                returned.version
            }
            RecordKind::Reservation => {
                let reservation = codec::decode_reservation(value)?;
                if !self.slots.contains(&reservation.order.hash().slot().0) {
                    self.resident.indexes.in_doubt.push(hash, digest_id(id)?, self.now);
                }
                reservation.version
            }
            RecordKind::Idempotency => {
                let record = codec::decode_idempotency(value)?;
                let scope = KeyScope { owner: hash, is_customer: record.is_customers };
                match record.reply.is_empty() {
                    true => self.resident.indexes.idempotency.begin(scope, digest_id(id)?),
                    false => self.idempotency.push((self.cap(record.expires_at), scope, digest_id(id)?, value.len())),
                }
                record.version
            }
            RecordKind::Settlement => {
                let settlement = codec::decode_settlement(value)?;
                self.settlements.push((self.cap(settlement.expires_at), hash, digest_id(id)?));
                settlement.version
            }
        })
    }

    /// The time at which a record expires. It is a lifetime ahead at most: past that, the clock was wrong when the record was
    /// written.
    fn cap(&self, expires_at: Timestamp) -> Timestamp {
        expires_at.min(end_of_life(self.now))
    }

    fn report(&mut self) {
        if self.records.is_multiple_of(PROGRESS_STRIDE) {
            self.progress.print(format_args!("loading, {} records", self.records));
        }
    }

    fn finish(self) -> Result<Resident> {
        let mut resident = self.resident;
        if self.newest_version > resident.counter {
            return Err(Error::Internal(format!(
                "a record has version {}, but the last commit's counter is {}: a part of the store is missing",
                self.newest_version, resident.counter
            )));
        }
        fill(&mut resident.indexes.idempotency, self.idempotency, &self.open_keys);
        resident.indexes.settlements = in_order(self.settlements);
        tracing::debug!(records = self.records, counter = resident.counter, "loaded");
        Ok(resident)
    }
}

fn digest_id(id: &[u8]) -> Result<DigestId> {
    id.try_into().map(DigestId).map_err(|_| Error::Internal("a stored record's key is damaged".into()))
}

fn fill(
    index: &mut IdempotencyIndex,
    mut records: Vec<(Timestamp, KeyScope, DigestId, usize)>,
    open: &HashSet<DigestId>,
) {
    records.sort_unstable_by_key(|(expires_at, ..)| *expires_at);
    for (expires_at, scope, id, bytes) in records {
        match open.contains(&id) {
            true => index.answer_open(scope, id, bytes),
            false => index.answer(scope, id, expires_at, bytes),
        }
    }
}

fn in_order(mut records: Vec<Expiring>) -> ExpiryIndex {
    records.sort_unstable_by_key(|(expires_at, ..)| *expires_at);
    let mut index = ExpiryIndex::default();
    for (expires_at, hash, id) in records {
        index.insert(hash, id, expires_at, 0);
    }
    index
}
