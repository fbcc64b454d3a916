//! Storage: records that outlive the process.
//!
//! A [`Record`] is a key and a value as bytes; [`codec`] turns the domain's types into values. [`Storage`]
//! keeps them: [`LogStorage`] on the local disk, [`MemoryStorage`] for benchmarks and
//! tests, and [`FjallStorage`] to compare the log with.

mod backend;
pub mod codec;
mod digest_id;
mod fjall;
mod kind;
mod log;
mod memory;
mod name;
mod record;

pub use backend::{Loaded, Outcome, Page, Storage};
pub use digest_id::DigestId;
pub use fjall::{FjallStorage, VERSION_FILE};
pub use kind::StorageKind;
#[cfg(any(test, fuzzing))]
pub use log::fuzz_log;
pub use log::{
    DEFAULT_LOG_BYTES, Findings, GiveUp, LogStorage, MAX_LOG_BYTES, MIN_LOG_BYTES, Space, SyncTimes, Verdict, find,
    give_up, measure_syncs,
};
pub use memory::MemoryStorage;
pub use name::{naming, record_name};
pub use record::{
    CLOCK_KEY, COUNTER_KEY, HEADER_KEY, KEY_PREFIX_BYTES, ORDER_COUNTS_KEY, Record, RecordKey, RecordKind, Write,
    kind_of,
};
