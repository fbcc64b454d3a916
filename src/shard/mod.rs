//! One shard: a process that owns a range of slots, holds their records in memory and loses no acknowledged write.
//!
//! Rooms, from the top; each imports only from below:
//!
//! - `run` starts everything.
//! - `grpc` is the stream of commands and replies; `housekeeping` watches the disk and removes what has expired.
//! - [`dispatch`] runs one request: admitted, run, answered. `context` is what sessions share.
//! - `saga` is an order's transaction over several shards.
//! - `records` is each kind of record and the commands on it; `startup` is identity, first catalog, recovery.
//! - [`engine`] is the single writer: state, batches, commits.
//! - `options`, `disk` and `clock` know nothing of the others.
//!
//! Sessions and commands run on one thread, commits on another.

mod clock;
mod context;
mod disk;
pub mod dispatch;
#[cfg(test)]
mod durability_tests;
pub mod engine;
mod grpc;
mod housekeeping;
mod options;
mod records;
mod run;
mod saga;
mod startup;

pub use disk::DEFAULT_MIN_FREE_BYTES;
pub use options::Options;
pub use run::run;
