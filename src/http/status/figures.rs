//! What is known of the parts of a store at one moment.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::interval::{ShardInterval, Traffic};
use crate::domain::order::OrderCounts;
use crate::domain::time::Timestamp;
use crate::protocol::{ShardStatus, UndecidedOrder};

/// What does not change while a facade runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// True while no API key is configured, so that the development key works.
    pub development_key: bool,
    /// True when the store is a playground, with simulated shoppers and buttons that crash it.
    pub playground: bool,
}

/// The state of a shard, the worst since the snapshot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardState {
    /// It serves everything.
    Up,
    /// Its disk or its commit log has no room: it takes no writes.
    ReadOnly,
    /// It is at its memory limit: it takes nothing that grows.
    Full,
    /// It does not answer, or has begun anew since the snapshot before.
    Down,
}

impl ShardState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            ShardState::Up => "up",
            ShardState::ReadOnly => "read_only",
            ShardState::Full => "full",
            ShardState::Down => "down",
        }
    }
}

/// A shard at one moment.
#[derive(Debug, Clone)]
pub struct ShardFigures {
    /// Its number.
    pub shard: u32,
    /// Its state.
    pub state: ShardState,
    /// The time since which it is in that state.
    pub since: Timestamp,
    /// The slots that it owns: as it said last, or as they are in a new store.
    pub slots: Vec<RangeInclusive<u16>>,
    /// What it says of itself; `None` while it is down.
    pub status: Option<Arc<ShardStatus>>,
    /// What it did since its last answer; `None` without two answers of the same process.
    pub interval: Option<ShardInterval>,
}

/// The facade at one moment.
#[derive(Debug, Clone)]
pub struct FacadeFigures {
    /// The time since its start, in seconds.
    pub uptime_s: u64,
    /// Its open connections.
    pub connections: u64,
    /// Its open streams of the status.
    pub viewers: u64,
    /// What it answered since the snapshot before; `None` in the first one.
    pub traffic: Option<Traffic>,
    /// The lines of its log that nobody took in time.
    pub log_dropped: u64,
}

/// The orders of the shards that answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderTotals {
    /// The undecided ones.
    pub pending: u64,
    /// The decided ones.
    pub decided: OrderCounts,
    /// The oldest undecided one.
    pub oldest_undecided: Option<UndecidedOrder>,
}

/// What the shards that are up say of themselves.
pub fn answers(shards: &[ShardFigures]) -> impl Iterator<Item = &ShardStatus> {
    shards.iter().filter_map(|shard| shard.status.as_deref())
}

impl OrderTotals {
    /// The totals over the shards that answer.
    pub fn of(shards: &[ShardFigures]) -> Self {
        let mut totals = OrderTotals::default();
        for status in answers(shards) {
            totals.pending += status.undecided_orders;
            totals.decided.add(status.orders);
            let oldest = totals.oldest_undecided.iter().chain(&status.oldest_undecided);
            totals.oldest_undecided = oldest.min_by_key(|order| order.since).cloned();
        }
        totals
    }
}
