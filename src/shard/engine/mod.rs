//! The single writer: the records in memory, the batch that commands add to, and the commits that make it durable.
//!
//! A command borrows a [`Transaction`] of the [`Writer`]. Its effects go into the open batch; the committer seals
//! that batch, writes and syncs it, and wakes the replies that waited for it. Commands run under one lock, so each
//! of them sees all effects of those before, durable or not; a [`CommitDependency`] says which commit its reply
//! must wait for.

mod batch;
mod committer;
mod expiry_index;
mod in_doubt_queue;
mod outbox;
mod product_index;
mod state;
mod transaction;
mod writer;

pub use batch::{Batch, CommitDependency};
pub use committer::SharedWriter;
pub use expiry_index::{Expiry, ExpiryIndex, LIFETIME_MICROS, MAX_LIVE, end_of_life};
pub use in_doubt_queue::{ASK_INTERVAL_MICROS, InDoubt, InDoubtQueue};
pub use outbox::{Outbox, ReplyTo, Waiter};
pub use product_index::ProductIndex;
pub use state::State;
pub use transaction::Transaction;
pub use writer::{Indexes, Resident, Writer};
