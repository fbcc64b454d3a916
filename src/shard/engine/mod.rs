//! The single writer: the records in memory, the batches of writes, and the commits that make them durable.
//!
//! A command runs in a [`Transaction`] of the [`Writer`]. Its writes go into the open batch. The committer seals that
//! batch, writes and syncs it, and releases the replies that waited for it. Commands run under one lock, so each
//! sees all writes of the commands before it, durable or not; a [`CommitDependency`] says which commit its reply
//! must wait for.

mod batch;
mod committer;
mod expiry_index;
mod fetched;
mod gauges;
mod idempotency_index;
mod in_doubt_queue;
mod order_tally;
mod outbox;
mod product_index;
mod refused_orders;
mod reply_times;
mod request_counts;
mod split_table;
mod state;
mod transaction;
mod undecided_orders;
mod writer;

pub use batch::{Batch, CommitDependency};
pub use committer::SharedWriter;
pub use expiry_index::{Expiry, ExpiryIndex, LIFETIME_MICROS, MAX_LIVE, end_of_life};
pub use fetched::{Fetched, StoredKey};
pub use gauges::{DEFAULT_MAX_UNRESOLVED, Gauge, GaugeGuard, OrderGauges};
pub use idempotency_index::{Full, IdempotencyIndex, KeyScope};
pub use in_doubt_queue::{ASK_INTERVAL_MICROS, InDoubt, InDoubtQueue};
pub use order_tally::OrderTally;
pub use outbox::{Awaited, AwaitedBytes, Outbox, ReplyTo, Waiter};
pub use product_index::ProductIndex;
pub use refused_orders::RefusedOrders;
pub use reply_times::ReplyTimes;
pub use request_counts::RequestCounts;
pub use state::State;
pub use transaction::Transaction;
pub use undecided_orders::UndecidedOrders;
pub use writer::{Indexes, MAX_WAITING_REPLIES, Resident, Writer};
