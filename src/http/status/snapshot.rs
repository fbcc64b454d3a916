//! One moment of a store, as everybody is shown it.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::faults::Fault;
use super::figures::{FacadeFigures, Facts, OrderTotals, ShardFigures};
use super::verdict::Verdict;
use crate::domain::stock_sums::StockSums;
use crate::domain::time::Timestamp;
use crate::http::metrics::HttpCounts;

/// The time between two snapshots, over which rates and percentiles are.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// One moment of a store.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number, from 1, of this facade.
    pub number: u64,
    /// The time at which it was taken.
    pub at: Timestamp,
    /// What does not change.
    pub facts: Facts,
    /// The store's id; `None` until a shard has reported it.
    pub store: Option<Uuid>,
    /// What is to be said first.
    pub verdict: Verdict,
    /// The facade.
    pub facade: FacadeFigures,
    /// The facade's counts.
    pub http: HttpCounts,
    /// The shards in order.
    pub shards: Vec<ShardFigures>,
    /// The orders of the shards that answer.
    pub orders: OrderTotals,
    /// The stock of the shards that answer.
    pub stock: StockSums,
    /// The newest faults, the last one first.
    pub faults: Vec<Arc<Fault>>,
}
