//! Holds an order's stock on all its products' shards and, once the order is decided, claims or releases it. The stock of a
//! cancelled order goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::backoff::Backoff;
use super::coordinator::Coordinator;
use crate::domain::order::{Facts, OrderLine};
use crate::domain::reservation::{HoldMode, HoldResult, ReturnedLine, Settlement};
use crate::error::{Error, Result};
use crate::protocol::{Command, Hold, PeerCommand, Request, ReturnStock, Settle, Written};
use crate::routing::OrderId;
use crate::shard::records::reservations;

/// The time for which a hold is repeated on a shard that does not answer.
pub const HOLD_TIMEOUT: Duration = Duration::from_secs(5);

/// The positions of an order's lines by their product's shard; `None` stands for this shard.
fn by_shard(coordinator: &Coordinator, order: &Facts) -> BTreeMap<Option<usize>, Vec<usize>> {
    let slots = coordinator.writer.lock().slots();
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (position, line) in order.lines.iter().enumerate() {
        let hash = line.product.hash();
        let is_ours = slots.contains(&hash.slot().0);
        let owner = coordinator.peers.as_ref().map_or(usize::MAX, |peers| peers.owner(hash));
        groups.entry((!is_ours).then_some(owner)).or_default().push(position);
    }
    groups
}

/// What the products' shards answered to a hold.
pub struct Found {
    /// The result for each line, or the reason why a shard did not answer.
    pub results: Result<Vec<HoldResult>>,
    /// The positions of the lines that other shards hold for sure.
    pub held_elsewhere: BTreeSet<usize>,
}

/// Holds or quotes all lines of an order. A shard that does not answer before the deadline may hold its lines or not; it
/// asks for the decision itself (`in_doubt`).
pub async fn hold(coordinator: &Coordinator, order: &Facts, mode: HoldMode, deadline: Instant) -> Found {
    let groups = by_shard(coordinator, order);
    let asked = groups.into_iter().map(|(shard, positions)| async move {
        let lines = positions.iter().map(|at| order.lines[*at].item()).collect();
        let found = match (Hold::new(order.id, lines, mode), shard) {
            (Err(error), _) => Err(error),
            (Ok(hold), None) => hold_here(coordinator, &hold).await,
            (Ok(hold), Some(_)) => hold_elsewhere(coordinator, hold, deadline).await,
        };
        (shard, positions, found)
    });
    let mut results = vec![HoldResult::UnknownProduct; order.lines.len()];
    let mut failed = None;
    let mut held_elsewhere = BTreeSet::new();
    for (shard, positions, found) in join_all(asked).await {
        match found {
            Ok(found) => {
                let is_held = mode == HoldMode::Hold && found.iter().all(|one| matches!(one, HoldResult::Held(_)));
                if is_held && shard.is_some() {
                    held_elsewhere.extend(&positions);
                }
                for (at, result) in positions.into_iter().zip(found) {
                    results[at] = result;
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    Found { results: failed.map_or(Ok(results), Err), held_elsewhere }
}

/// Holds all lines of an order, and repeats the hold until every shard has answered.
pub async fn hold_until_answered(coordinator: &Coordinator, order: &Facts) -> Vec<HoldResult> {
    loop {
        match hold(coordinator, order, HoldMode::Hold, Instant::now() + HOLD_TIMEOUT).await.results {
            Ok(found) => return found,
            Err(error) => tracing::warn!(order = %order.id, %error, "a paid order waits for its stock"),
        }
    }
}

async fn hold_here(coordinator: &Coordinator, hold: &Hold) -> Result<Vec<HoldResult>> {
    let held = coordinator.transact(|txn| {
        let held = reservations::hold(txn, hold);
        txn.abort_if_torn(&held);
        held
    });
    held.await
}

async fn hold_elsewhere(coordinator: &Coordinator, hold: Hold, deadline: Instant) -> Result<Vec<HoldResult>> {
    let Some(peers) = &coordinator.peers else {
        return Err(Error::Unavailable("this shard was not told the addresses of the others (--peers)".into()));
    };
    let request = Request::new(Command::Peer(PeerCommand::Hold(hold)));
    let mut backoff = Backoff::default();
    let mut last = "it did not answer in time".to_owned();
    let asking = async {
        loop {
            match peers.call::<Vec<HoldResult>>(&request).await.result {
                Ok(answer) => return answer.body,
                Err(error) => last = error.to_string(),
            }
            backoff.pause().await;
        }
    };
    match timeout_at(deadline, asking).await {
        Ok(found) => Ok(found),
        Err(_) => Err(Error::Unavailable(format!("a product's shard could not be asked: {last}"))),
    }
}

/// All lines of an order.
pub fn all_lines(order: &Facts) -> BTreeSet<usize> {
    (0..order.lines.len()).collect()
}

/// Tells the other shards the decision on the lines at these positions. This shard's part was in the decision's commit.
/// True if each has answered before the deadline; one that has not asks for the decision itself (`in_doubt`).
pub async fn settle_elsewhere(
    coordinator: &Coordinator,
    order: &Facts,
    positions: &BTreeSet<usize>,
    settlement: Settlement,
    deadline: Instant,
) -> bool {
    let groups = by_shard(coordinator, order).into_iter().filter(|(shard, _)| shard.is_some());
    let told = groups.map(|(_, all)| async move {
        let ours = all.iter().filter(|at| positions.contains(at));
        let products: Vec<_> = ours.map(|at| order.lines[*at].product.clone()).collect();
        if products.is_empty() {
            return true;
        }
        let settle = Settle::new(order.id, products, settlement).expect("an order has no more lines than a settlement");
        timeout_at(deadline, settle_one(coordinator, settle)).await.is_ok()
    });
    join_all(told).await.into_iter().all(|told| told)
}

async fn settle_one(coordinator: &Coordinator, settle: Settle) {
    tell(coordinator, settle.order, PeerCommand::Settle(settle)).await;
}

/// Tells another shard what becomes of its stock, until it has answered.
async fn tell(coordinator: &Coordinator, order: OrderId, command: PeerCommand) {
    let Some(peers) = &coordinator.peers else { return };
    let request = Request::new(Command::Peer(command));
    let mut backoff = Backoff::default();
    while let Err(error) = peers.call::<Written>(&request).await.result {
        tracing::debug!(%order, %error, "a product's shard could not be told what becomes of its stock");
        backoff.pause().await;
    }
}

/// A line of a cancelled order as it goes back; `None` for one of a release that did not keep which product it was: its id
/// may belong to another one by now, so nothing goes back.
pub fn returned_line(line: &OrderLine) -> Option<ReturnedLine> {
    let incarnation = line.incarnation?;
    Some(ReturnedLine { product: line.product.clone(), incarnation, count: line.count })
}

/// Has the other shards take the stock of a cancelled order back, until each has answered. This shard's part was in the
/// commit that cancelled it.
pub async fn return_elsewhere(coordinator: &Coordinator, order: &Facts) {
    let groups = by_shard(coordinator, order).into_iter().filter(|(shard, _)| shard.is_some());
    let told = groups.map(|(_, positions)| async move {
        let lines: Vec<_> = positions.iter().filter_map(|at| returned_line(&order.lines[*at])).collect();
        if !lines.is_empty() {
            let returned = ReturnStock::new(order.id, lines).expect("an order has no more lines than a return");
            tell(coordinator, order.id, PeerCommand::Return(returned)).await;
        }
    });
    join_all(told).await;
}
