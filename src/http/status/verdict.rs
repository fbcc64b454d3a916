//! The first thing to say about a store: that all is well, or the one worst thing and what to do about it.
//!
//! The order of badness: what customers notice now, what is lost or wrong, what somebody has to settle, what will happen soon,
//! what is only hidden from the operator.

use serde::Serialize;

use super::figures::{OrderTotals, ShardFigures, ShardState, answers};
use crate::domain::stock_sums::StockSums;
use crate::domain::time::Timestamp;
use crate::protocol::ShardStatus;

/// The age in seconds past which an undecided order is told: a customer has an answer after 10 s.
const UNDECIDED_SECONDS: i64 = 30;
/// The part of the memory limit past which it is told, in percent.
const MEMORY_PERCENT: u64 = 90;
/// How many times `--min-free` has to be free on a disk.
const FREE_FACTOR: u64 = 2;

/// The judgement on a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// True when all is well.
    pub ok: bool,
    /// The finding, for programs.
    pub code: &'static str,
    /// The finding, for people.
    pub text: String,
    /// What to do.
    pub action: Option<String>,
    /// A command line that helps.
    pub command: Option<String>,
}

/// What is judged.
pub struct Evidence<'a> {
    /// The time of the snapshot.
    pub at: Timestamp,
    /// The shards.
    pub shards: &'a [ShardFigures],
    /// The stock of those that answer.
    pub stock: &'a StockSums,
    /// The orders of those that answer.
    pub orders: &'a OrderTotals,
    /// True if the facade or a shard has dropped log lines lately.
    pub drops_logs: bool,
}

/// A finding, in the order in which they are looked for.
type Check = fn(&Evidence<'_>) -> Option<Verdict>;

/// From the worst on.
const CHECKS: [Check; 10] = [
    down,
    read_only,
    damage,
    stock_drift,
    memory_full,
    captures_failed,
    orders_undecided,
    disk_low,
    memory_low,
    log_dropped,
];

/// Judges a snapshot.
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let all_well = || {
        let text = match evidence.shards.len() {
            1 => "The shard answers.".to_owned(),
            shards => format!("All {shards} shards answer."),
        };
        Verdict { ok: true, code: "all_well", text, action: None, command: None }
    };
    CHECKS.iter().find_map(|check| check(evidence)).unwrap_or_else(all_well)
}

fn finding(code: &'static str, text: String, action: &str) -> Verdict {
    Verdict { ok: false, code, text, action: Some(action.to_owned()), command: None }
}

impl Verdict {
    fn with_command(self, command: &str) -> Self {
        Verdict { command: Some(command.to_owned()), ..self }
    }
}

/// `Shard 1 is down` or `Shards 1 and 2 are down`, for those that a test picks; `None` when it picks none.
fn named(shards: &[ShardFigures], picks: impl Fn(&ShardFigures) -> bool, verbs: [&str; 2]) -> Option<String> {
    let numbers: Vec<_> = shards.iter().filter(|shard| picks(shard)).map(|shard| shard.shard.to_string()).collect();
    let (last, others) = numbers.split_last()?;
    let [one, several] = verbs;
    Some(match others {
        [] => format!("Shard {last} {one}"),
        others => format!("Shards {} and {last} {several}", others.join(", ")),
    })
}

fn any_says(shards: &[ShardFigures], test: impl Fn(&ShardStatus) -> bool, verbs: [&str; 2]) -> Option<String> {
    named(shards, |shard| shard.status.as_deref().is_some_and(&test), verbs)
}

fn down(evidence: &Evidence<'_>) -> Option<Verdict> {
    let text = named(evidence.shards, |shard| shard.state == ShardState::Down, ["is down", "are down"])?;
    let text = format!("{text}: customers and products there get 503, all others go on.");
    let action = "A launcher starts a shard again by itself, in a second or two. When that does not help, the shard's error.log \
                  says why.";
    Some(finding("shard_down", text, action))
}

fn read_only(evidence: &Evidence<'_>) -> Option<Verdict> {
    let is_read_only = |shard: &ShardFigures| shard.state == ShardState::ReadOnly;
    let text = named(evidence.shards, is_read_only, ["takes no writes", "take no writes"])?;
    let text = format!("{text}: the disk or the commit log is nearly full. Reads go on.");
    Some(finding("read_only", text, "Make room on the disk of the data directory.").with_command("df -h"))
}

fn damage(evidence: &Evidence<'_>) -> Option<Verdict> {
    let verbs = ["has found damage on its disk", "have found damage on their disks"];
    let text = any_says(evidence.shards, |status| status.damages > 0, verbs)?;
    let action = "The shard's error.log names what is damaged. Restore a backup, and use another disk.";
    Some(finding("damage", format!("{text}."), action).with_command("shardcart repair --data DIR"))
}

fn stock_drift(evidence: &Evidence<'_>) -> Option<Verdict> {
    let StockSums { received, stock, held, sold, .. } = *evidence.stock;
    let text =
        format!("Stock does not add up: {received} received, but {stock} in stock, {held} held and {sold} sold.");
    let action = "This is a fault of the store. Keep the data directory and report it.";
    (!evidence.stock.adds_up()).then(|| finding("stock_drift", text, action))
}

fn memory_full(evidence: &Evidence<'_>) -> Option<Verdict> {
    let is_full = |shard: &ShardFigures| shard.state == ShardState::Full;
    let text = named(evidence.shards, is_full, ["is at its memory limit", "are at their memory limit"])?;
    let text = format!("{text}: what grows gets 507. Reads, removals and checkouts go on.");
    Some(finding("memory_full", text, "Raise --max-memory, or remove old carts with --cart-ttl."))
}

fn captures_failed(evidence: &Evidence<'_>) -> Option<Verdict> {
    let count: u64 = answers(evidence.shards).map(|status| status.captures_failed).sum();
    let text = format!(
        "The payment gateway refused to hand over the money of {count} created {}.",
        if count == 1 { "order" } else { "orders" }
    );
    let action = "Settle it with the customers: the orders stand.";
    let command = "shardcart order list --payment-status capture_failed";
    (count > 0).then(|| finding("captures_failed", text, action).with_command(command))
}

fn orders_undecided(evidence: &Evidence<'_>) -> Option<Verdict> {
    let oldest = evidence.orders.oldest_undecided.as_ref()?;
    let seconds = (evidence.at.micros() - oldest.since.micros()) / 1_000_000;
    if seconds <= UNDECIDED_SECONDS {
        return None;
    }
    let text = match evidence.orders.pending {
        1 => format!("An order has not been decided for {seconds} s. Its stock stays held."),
        count => format!("{count} orders are not decided, the oldest for {seconds} s. Their stock stays held."),
    };
    let action = "The payment gateway or a shard does not answer. The orders end by themselves once it does.";
    Some(finding("orders_undecided", text, action).with_command(&format!("shardcart order show {}", oldest.order)))
}

fn disk_low(evidence: &Evidence<'_>) -> Option<Verdict> {
    let is_low = |status: &ShardStatus| status.free_disk_bytes < status.min_free_disk_bytes.saturating_mul(FREE_FACTOR);
    let text = any_says(evidence.shards, is_low, ["has little room on its disk", "have little room on their disks"])?;
    let text = format!("{text}: writes will be refused below --min-free.");
    Some(finding("disk_low", text, "Make room on the disk of the data directory.").with_command("df -h"))
}

fn memory_low(evidence: &Evidence<'_>) -> Option<Verdict> {
    let is_low = |status: &ShardStatus| status.memory_bytes / MEMORY_PERCENT >= status.max_memory_bytes / 100;
    let text = any_says(evidence.shards, is_low, ["is near its memory limit", "are near their memory limit"])?;
    let text = format!("{text}: past it, what grows will get 507.");
    Some(finding("memory_low", text, "Raise --max-memory, or remove old carts with --cart-ttl."))
}

fn log_dropped(evidence: &Evidence<'_>) -> Option<Verdict> {
    let text = "Log lines were dropped in the last minute: nobody took them in time.".to_owned();
    let action = "Look at what reads stderr, and at the disk of error.log.";
    evidence.drops_logs.then(|| finding("log_dropped", text, action))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::UndecidedOrder;

    const LIMIT: u64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn shard(number: u32, state: ShardState, change: impl FnOnce(&mut ShardStatus)) -> ShardFigures {
        let mut status = ShardStatus::sample(number);
        change(&mut status);
        let status = (state != ShardState::Down).then(|| Arc::new(status));
        ShardFigures { shard: number, state, since: at(0), slots: Vec::new(), status, interval: None }
    }

    /// Everything that can be wrong, each with its code, from the worst on.
    fn all_bad() -> Vec<(&'static str, ShardFigures)> {
        vec![
            ("shard_down", shard(0, ShardState::Down, |_| {})),
            ("read_only", shard(1, ShardState::ReadOnly, |_| {})),
            ("damage", shard(2, ShardState::Up, |status| status.damages = 1)),
            ("stock_drift", shard(3, ShardState::Up, |status| status.stock.sold = 1)),
            ("memory_full", shard(4, ShardState::Full, |_| {})),
            ("captures_failed", shard(5, ShardState::Up, |status| status.captures_failed = 2)),
            (
                "orders_undecided",
                shard(6, ShardState::Up, |status| {
                    status.undecided_orders = 1;
                    status.oldest_undecided = Some(UndecidedOrder { order: "o".into(), since: at(69) });
                }),
            ),
            ("disk_low", shard(7, ShardState::Up, |status| status.free_disk_bytes = 1_999)),
            ("memory_low", shard(8, ShardState::Up, |status| status.memory_bytes = LIMIT / 10 * 9)),
            ("log_dropped", shard(9, ShardState::Up, |_| {})),
        ]
    }

    fn judged(shards: &[ShardFigures], drops_logs: bool) -> Verdict {
        let stock = StockSums::over(answers(shards).map(|status| &status.stock));
        let orders = OrderTotals::of(shards);
        judge(&Evidence { at: at(100), shards, stock: &stock, orders: &orders, drops_logs })
    }

    #[test]
    fn the_worst_thing_is_said_first() {
        let mut bad = all_bad();
        while !bad.is_empty() {
            let shards: Vec<_> = bad.iter().map(|(_, figures)| figures.clone()).collect();
            let verdict = judged(&shards, true);
            assert_eq!((verdict.code, verdict.ok), (bad[0].0, false));
            assert!(verdict.text.ends_with('.') && verdict.action.is_some(), "{verdict:?}");
            bad.remove(0);
        }
    }

    #[test]
    fn all_is_well_within_the_limits() {
        let shards = [
            shard(0, ShardState::Up, |status| status.free_disk_bytes = 2_000),
            shard(1, ShardState::Up, |status| status.memory_bytes = LIMIT / 10 * 9 - 90),
            shard(2, ShardState::Up, |status| {
                status.undecided_orders = 1;
                status.oldest_undecided = Some(UndecidedOrder { order: "o".into(), since: at(70) });
            }),
        ];
        let verdict = judged(&shards, false);
        assert_eq!((verdict.ok, verdict.code, verdict.text.as_str()), (true, "all_well", "All 3 shards answer."));
        assert_eq!(judged(&shards[..1], false).text, "The shard answers.");
    }

    #[test]
    fn shards_are_named() {
        let down = |number| shard(number, ShardState::Down, |_| {});
        assert!(judged(&[down(3)], false).text.starts_with("Shard 3 is down: "));
        assert!(judged(&[down(1), down(2), down(5)], false).text.starts_with("Shards 1, 2 and 5 are down: "));
    }
}
