//! A commit log on preallocated files, with tables behind it.
//!
//! A commit is one frame, written with one direct, synced write; see `frame` for its bytes. Files form a ring: when one is
//! full the next free one is begun; background threads make files, move what is in full ones to the tables and free them. The
//! manifest says which files are needed and how far the log reaches. `survey` has the rule that tells a torn commit from
//! damage.

mod block;
mod bytes;
mod compaction;
mod content;
#[cfg(test)]
mod damage_tests;
mod disk;
#[cfg(test)]
mod fault_tests;
mod file_header;
mod files;
mod findings;
mod frame;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod give_up;
#[cfg(test)]
mod golden_tests;
mod lost;
mod manifest;
mod mark;
#[cfg(test)]
mod power_tests;
mod reached;
mod recovery;
mod ring;
mod storage;
mod survey;
mod sync_probe;
mod table_copy;
mod table_files;
mod table_list;
mod tables;
#[cfg(test)]
mod test_store;
#[cfg(test)]
mod tests;
mod under_way;
mod walk;

pub use findings::{Findings, Verdict, find};
#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz_log;
pub use give_up::give_up;
pub use lost::GiveUp;
pub use manifest::MANIFEST;
pub use storage::{DEFAULT_LOG_BYTES, LOG_DIRECTORY, LogStorage, MAX_LOG_BYTES, MIN_LOG_BYTES, Space};
pub use sync_probe::{SyncTimes, measure_syncs};
