//! Resolves reservations in doubt, and forgets returns of stock, by polling the order's home shard.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::coordinator::{Coordinator, abort};
use crate::domain::reservation::{Decision, Reservation, Return, ReturnedLine};
use crate::protocol::{Command, PeerCommand, Request, Settle};
use crate::routing::OrderId;
use crate::shard::records::in_doubt::{self, Question};
use crate::shard::records::{reservations, returns};

/// The interval of the polls.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most questions asked at a time.
const MAX_AT_A_TIME: usize = 256;

/// Polls until the process ends.
pub async fn poll(coordinator: Arc<Coordinator>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let due = coordinator.transact(|txn| in_doubt::due(txn, MAX_AT_A_TIME)).await;
        let due = due.unwrap_or_else(|error| abort(&error, "what is asked about cannot be read"));
        join_all(due.into_iter().map(|question| resolve(&coordinator, question))).await;
    }
}

async fn resolve(coordinator: &Coordinator, question: Question) {
    match question {
        Question::Held(reservation) => settle(coordinator, reservation).await,
        Question::Returned(returned) => forget(coordinator, returned).await,
    }
}

/// Asks an order's home for its decision; `None` when the home does not answer.
async fn ask(coordinator: &Coordinator, order: OrderId) -> Option<Decision> {
    let request = Request::new(Command::Peer(PeerCommand::AskDecision(order)));
    let answer = coordinator.peers.as_ref()?.call::<Decision>(&request).await;
    answer.result.ok().map(|answer| answer.body)
}

async fn settle(coordinator: &Coordinator, reservation: Reservation) {
    let order = reservation.order;
    let Some(decision) = ask(coordinator, order).await else { return };
    let settled = coordinator.transact(|txn| {
        let settled = match (decision, decision.settlement()) {
            (_, Some(settlement)) => Settle::new(order, vec![reservation.product], settlement)
                .and_then(|settle| reservations::settle(txn, &settle)),
            (Decision::Cancelled | Decision::CancelledAndClosed, None) => {
                let Reservation { product, incarnation, count, .. } = reservation;
                returns::take_line_back(txn, order, &ReturnedLine { product, incarnation, count })
            }
            (_, None) => Ok(()),
        };
        txn.abort_if_torn(&settled);
        settled
    });
    if let Err(error) = settled.await {
        tracing::error!(%order, %error, "a reservation cannot be settled");
    }
}

/// Forgets a return, after a while, once the order's home has nothing left to ask for.
async fn forget(coordinator: &Coordinator, returned: Return) {
    if let Some(Decision::CancelledAndClosed) = ask(coordinator, returned.order).await {
        coordinator.transact(|txn| returns::close(txn, returned)).await;
    }
}
