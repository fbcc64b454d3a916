//! Reads, slowly and in the background, what a shard does not read at its start: closed orders, the places of orders in
//! lists, deliveries, and the parts of the log that wait for a checkpoint. So damage is found before somebody asks for what it hit.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::context::ShardContext;
use crate::error::Result;
use crate::routing::{KeyHash, Slot};
use crate::storage::{RecordKind, Storage, codec, record_name};

/// The time from the start to the first pass, and between two passes.
const FIRST_AFTER: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// The most bytes that are read in a second.
const BYTES_A_SECOND: u64 = 1 << 20;
/// Records that are read at once.
const PAGE_RECORDS: usize = 64;
/// The least pause between two reads: other kinds of records lie between, and are read as well.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
/// Damages that are logged in one pass. Past that, it ends.
const MAX_DAMAGES: usize = 20;
/// The kinds that are read.
const KINDS: [RecordKind; 4] =
    [RecordKind::Order, RecordKind::Delivery, RecordKind::OrderEntry, RecordKind::OrderDeliveries];

/// Runs until the process ends.
pub async fn run(context: Arc<ShardContext>) {
    if context.storage.is_volatile() {
        return;
    }
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        let mut pass = Pass::new(context.storage.clone(), context.identity.slots());
        loop {
            // Its own thread, since the disk may be slow.
            let step = tokio::task::spawn_blocking(move || {
                let step = pass.step();
                (pass, step)
            });
            let Ok((next, step)) = step.await else { return };
            pass = next;
            step.damages.iter().for_each(|what| context.damages.note(what));
            if step.is_last {
                break;
            }
            tokio::time::sleep(pause(step.bytes)).await;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The pause after so many bytes.
fn pause(bytes: u64) -> Duration {
    Duration::from_millis(bytes * 1_000 / BYTES_A_SECOND).max(LEAST_PAUSE)
}

/// One pass over everything.
struct Pass {
    storage: Arc<dyn Storage>,
    slots: RangeInclusive<u16>,
    /// What is read now: one of [`KINDS`], then the log.
    kind: usize,
    log_part: usize,
    /// The last key that was read.
    after: Vec<u8>,
    /// How many records are read one by one, to find the one that cannot be read.
    singly: usize,
    damages: usize,
}

/// What one read gave.
#[derive(Debug, Default)]
struct Step {
    bytes: u64,
    damages: Vec<String>,
    is_last: bool,
}

impl Pass {
    fn new(storage: Arc<dyn Storage>, slots: RangeInclusive<u16>) -> Self {
        Pass { storage, slots, kind: 0, log_part: 0, after: Vec::new(), singly: 0, damages: 0 }
    }

    fn step(&mut self) -> Step {
        let mut step = match KINDS.get(self.kind) {
            Some(kind) => self.read_records(*kind),
            None => self.read_log(),
        };
        self.damages += step.damages.len();
        step.is_last |= self.damages >= MAX_DAMAGES;
        step
    }

    fn read_records(&mut self, kind: RecordKind) -> Step {
        let mut step = Step::default();
        let limit = if self.singly > 0 { 1 } else { PAGE_RECORDS };
        match self.storage.scan(kind, &self.slots, &self.after, limit) {
            Ok(page) => {
                self.singly = self.singly.saturating_sub(1);
                for record in &page.records {
                    step.bytes += record.size() as u64;
                    if let Err(error) = codec::check(kind, record.value()) {
                        step.damages.push(format!("{}: {error}", record_name(record.key())));
                    }
                }
                self.go_on(page.next);
            }
            Err(_) if self.singly == 0 => self.singly = PAGE_RECORDS,
            Err(error) => {
                let after = match self.after.len() {
                    0..=8 => format!("the first records of the kind {kind:?} in its slot"),
                    _ => format!("what comes after {}", record_name(&self.after)),
                };
                step.damages.push(format!("{after} cannot be read: {error}"));
                self.singly = 0;
                let next = self.next_slot();
                self.go_on(next);
            }
        }
        step
    }

    /// Goes on after a key, or with the next kind.
    fn go_on(&mut self, after: Option<Vec<u8>>) {
        self.kind += usize::from(after.is_none());
        self.after = after.unwrap_or_default();
    }

    /// A key before all those of the next slot; `None` after the last one.
    fn next_slot(&self) -> Option<Vec<u8>> {
        let slot = self
            .after
            .first_chunk()
            .map_or(*self.slots.start(), |hash| KeyHash::from_bits(u64::from_be_bytes(*hash)).slot().0);
        (slot < *self.slots.end()).then(|| Slot(slot + 1).hashes().start.to_be_bytes().to_vec())
    }

    fn read_log(&mut self) -> Step {
        let read: Result<Option<u64>> = self.storage.check_log(self.log_part);
        self.log_part += 1;
        match read {
            Ok(bytes) => Step { bytes: bytes.unwrap_or_default(), is_last: bytes.is_none(), ..Step::default() },
            Err(error) => Step { damages: vec![error.to_string()], ..Step::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use super::*;
    use crate::domain::delivery::{Delivery, DeliveryStatus};
    use crate::domain::time::Timestamp;
    use crate::routing::{DeliveryId, OrderId, SLOTS};
    use crate::storage::{MIN_LOG_BYTES, Record, RecordKey, Space, StorageKind, Write};

    const ALL: RangeInclusive<u16> = 0..=SLOTS - 1;
    const DELIVERIES: u16 = 500;

    fn delivery(number: u16) -> (DeliveryId, Write) {
        let (millis, random) = (1_763_900_000_000, u128::from(number) << 64);
        let id = DeliveryId::new(Slot(number * 30), millis, random);
        let delivery = Delivery {
            version: 1,
            id,
            order: OrderId::new(Slot(number * 30), millis, random),
            // Different enough not to be compressed away.
            address: format!("{:x?}", KeyHash::of(&number.to_string())).repeat(4),
            courier: "local".into(),
            status: DeliveryStatus::Dispatched,
            updated_at: Timestamp::default(),
        };
        let key = RecordKey { hash: id.hash(), kind: RecordKind::Delivery, id: id.as_bytes() };
        (id, Write::Put(Record::new(key, &codec::encode_delivery(&delivery))))
    }

    fn pass(storage: &Arc<dyn Storage>) -> Vec<String> {
        let mut pass = Pass::new(storage.clone(), ALL);
        let mut damages = Vec::new();
        loop {
            let step = pass.step();
            damages.extend(step.damages);
            if step.is_last {
                return damages;
            }
        }
    }

    fn open(directory: &Path) -> Arc<dyn Storage> {
        StorageKind::Log.open(directory, Space { log_bytes: MIN_LOG_BYTES, min_free: 0 }).unwrap()
    }

    #[test]
    fn a_damaged_table_is_found_and_what_is_near_it_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let storage = open(directory.path());
        for number in 0..DELIVERIES {
            storage.commit_next(&[delivery(number).1]).unwrap();
        }
        assert_eq!(pass(&storage), Vec::<String>::new(), "in the log");
        storage.load(&[], &ALL, &mut |_, _| Ok(())).unwrap();
        assert_eq!(pass(&storage), Vec::<String>::new(), "in the tables");
        drop(storage);
        let tables = directory.path().join("tables/keyspaces/1/tables");
        let tables = fs::read_dir(tables).unwrap().map(|entry| entry.unwrap().path());
        let table = tables.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let middle = fs::metadata(&table).unwrap().len() / 3;
        fs::File::options().write(true).open(&table).unwrap().write_all_at(&[0x55; 8], middle).unwrap();
        let storage = open(directory.path());
        let damages = pass(&storage);
        assert!(!damages.is_empty() && damages.len() <= MAX_DAMAGES, "{damages:?}");
        let is_named = |text: &String| {
            (0..DELIVERIES).any(|number| text.starts_with(&format!("what comes after delivery {}", delivery(number).0)))
        };
        assert!(is_named(&damages[0]), "{damages:?}");
    }

    #[test]
    fn a_record_that_does_not_decode_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let storage = open(directory.path());
        let (id, _) = delivery(3);
        let key = RecordKey { hash: id.hash(), kind: RecordKind::Delivery, id: id.as_bytes() };
        storage.commit_next(&[delivery(1).1, Write::Put(Record::new(key, b"nonsense"))]).unwrap();
        let damages = pass(&storage);
        assert_eq!(damages.len(), 1);
        assert!(damages[0].starts_with(&format!("delivery {id}: ")), "{damages:?}");
    }

    #[test]
    fn a_second_has_no_more_bytes_than_allowed() {
        assert_eq!(pause(BYTES_A_SECOND), Duration::from_secs(1));
        assert_eq!(pause(16 * BYTES_A_SECOND), Duration::from_secs(16));
        assert_eq!(pause(0), LEAST_PAUSE);
    }
}
