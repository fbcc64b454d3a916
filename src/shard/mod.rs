//! One shard: a process that owns a range of slots, holds their records in memory and loses no acknowledged write.
//!
//! Modules from the top down; each imports only from those below it:
//!
//! - `run` starts everything.
//! - `grpc` is the stream of commands and replies; `housekeeping` watches the disk and removes what has expired;
//!   `retention` removes old carts and orders; `scrub` looks for damage.
//! - `fetch` reads records that are on disk only, and runs the request that needs them again.
//! - `continuation` starts what a request goes on with after its first transaction; `order_list` reads a list of orders.
//! - [`dispatch`] runs one request. `context` is the state that sessions share.
//! - `stored_reads` reads storage beside the writer; `saga` is an order's transaction over several shards.
//! - `records` has each kind of record and the commands on it; `startup` has identity, catalog import and recovery.
//! - [`engine`] is the single writer: state, batches, commits.
//! - `options`, `disk`, `damages`, `order_lists`, `removals` and `clock` import none of the others.
//!
//! Sessions and commands run on one thread, commits on another, reads of the disk on a few more.

mod clock;
mod context;
mod continuation;
mod damages;
mod disk;
pub mod dispatch;
#[cfg(test)]
mod durability_tests;
pub mod engine;
mod fetch;
mod grpc;
mod housekeeping;
#[cfg(test)]
mod key_tests;
mod options;
mod order_list;
mod order_lists;
mod records;
mod removals;
mod retention;
mod run;
mod saga;
mod scrub;
mod startup;
mod stored_reads;

pub use disk::{DEFAULT_MIN_FREE_BYTES, DiskLimit};
pub use engine::DEFAULT_MAX_UNRESOLVED;
pub use options::{
    DEFAULT_COMMIT_TIMEOUT, DEFAULT_REFUSED_ORDER_BYTES, DEFAULT_REFUSED_ORDER_LIFETIME, Options, default_max_memory,
};
pub use run::{lock, run};
