//! Lets fjall compact only while the disk has room for it. A compaction that fills the disk fails, and with it fjall's only
//! thread, and what it wrote until then stays there until the next start.
//!
//! fjall does not say that it is about to compact, but it asks a filter about each record that it rewrites: the filter waits.
//! Meanwhile runs are ingested as ever, and reads have more of them to look at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};

use crate::process::disk_space::Free;
use crate::process::fail_point;

/// The most bytes that fjall rewrites at once: 24 runs of 64 MiB with the level below them, or some 25 tables of 64 MB.
const MAX_REWRITTEN_BYTES: u64 = 2 << 30;
/// The records that are rewritten between two looks at the disk.
const RECORDS_BETWEEN_LOOKS: u64 = 64;
/// The time between two looks while there is no room.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The room for compaction on a disk.
#[derive(Debug)]
pub struct CompactionRoom {
    directory: PathBuf,
    /// The bytes that have to stay free.
    min_free: u64,
    /// The bytes of all tables.
    tables: AtomicU64,
    is_missing: AtomicBool,
    stops: AtomicBool,
}

impl CompactionRoom {
    /// The room on the disk of a directory with tables of so many bytes.
    pub fn new(directory: &Path, min_free: u64, tables: u64) -> Arc<Self> {
        Arc::new(CompactionRoom {
            directory: directory.to_owned(),
            min_free,
            tables: AtomicU64::new(tables),
            is_missing: AtomicBool::default(),
            stops: AtomicBool::default(),
        })
    }

    /// Notes the bytes of all tables.
    pub fn note_tables(&self, bytes: u64) {
        self.tables.store(bytes, Ordering::Relaxed);
    }

    /// True when a compaction may begin: what it can rewrite fits twice.
    pub fn is_enough(&self) -> bool {
        self.has(self.needed())
    }

    /// Ends compactions that wait.
    pub fn stop(&self) {
        self.stops.store(true, Ordering::Release);
    }

    fn needed(&self) -> u64 {
        self.tables.load(Ordering::Relaxed).min(MAX_REWRITTEN_BYTES)
    }

    fn has(&self, bytes: u64) -> bool {
        Free::of(&self.directory).bytes >= self.min_free.saturating_add(bytes)
    }

    /// Waits until so many bytes are free beside those that have to stay free.
    fn wait_for(&self, bytes: u64) -> io::Result<()> {
        while !self.has(bytes) {
            if self.stops.load(Ordering::Acquire) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if !self.is_missing.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    bytes,
                    min_free = self.min_free,
                    "the tables are compacted once the disk has room for it"
                );
            }
            thread::sleep(LOOK_INTERVAL);
        }
        if self.is_missing.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk has room: the tables are compacted");
        }
        Ok(())
    }
}

/// Makes the filters that wait for room.
pub struct RoomFilters(pub Arc<CompactionRoom>);

impl Factory for RoomFilters {
    fn name(&self) -> &'static str {
        "room on the disk"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(RoomFilter { room: self.0.clone(), records: 0 })
    }
}

struct RoomFilter {
    room: Arc<CompactionRoom>,
    records: u64,
}

impl CompactionFilter for RoomFilter {
    fn filter_item(&mut self, _: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        if self.records == 0 {
            fail_point::fail("compaction")?;
            self.room.wait_for(self.room.needed())?;
        } else if self.records.is_multiple_of(RECORDS_BETWEEN_LOOKS) {
            // Others use the disk, too.
            self.room.wait_for(0)?;
        }
        self.records += 1;
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_waits_for_room_and_ends_when_it_is_told_to() {
        let directory = tempfile::tempdir().unwrap();
        let room = CompactionRoom::new(directory.path(), 0, 1_000);
        assert!(room.is_enough());
        room.wait_for(room.needed()).unwrap();
        let full = CompactionRoom::new(directory.path(), u64::MAX / 2, 1_000);
        assert!(!full.is_enough());
        let waits = thread::spawn({
            let full = full.clone();
            move || full.wait_for(0)
        });
        while !full.is_missing.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        full.stop();
        assert_eq!(waits.join().unwrap().unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn large_tables_need_no_more_than_is_rewritten_at_once() {
        let room = CompactionRoom::new(Path::new("/"), 0, 5);
        assert_eq!(room.needed(), 5);
        room.note_tables(1 << 40);
        assert_eq!(room.needed(), MAX_REWRITTEN_BYTES);
    }
}
