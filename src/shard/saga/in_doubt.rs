//! Resolves in-doubt reservations by polling the order's home shard.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::coordinator::{Coordinator, abort};
use crate::domain::reservation::{Decision, Reservation};
use crate::protocol::{Command, PeerCommand, Request, Settle};
use crate::shard::records::reservations;

/// The interval of the polls.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most reservations asked about at a time.
const MAX_AT_A_TIME: usize = 256;

/// Polls until the process ends.
pub async fn poll(coordinator: Arc<Coordinator>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let due = coordinator.transact(|txn| reservations::due(txn, MAX_AT_A_TIME)).await;
        let due = due.unwrap_or_else(|error| abort(&error, "a reservation cannot be read"));
        join_all(due.into_iter().map(|reservation| ask(&coordinator, reservation))).await;
    }
}

async fn ask(coordinator: &Coordinator, reservation: Reservation) {
    let Some(peers) = &coordinator.peers else { return };
    let order = reservation.order;
    let request = Request::new(Command::Peer(PeerCommand::AskDecision(order)));
    let Ok(answer) = peers.call::<Decision>(&request).await.result else { return };
    let Some(settlement) = answer.body.settlement() else { return };
    let settle =
        Settle::new(order, vec![reservation.product], settlement).expect("one product is neither none nor too many");
    let settled = coordinator.transact(|txn| {
        let settled = reservations::settle(txn, &settle);
        txn.abort_if_torn(&settled);
        settled
    });
    if let Err(error) = settled.await {
        tracing::error!(%order, %error, "a reservation cannot be settled");
    }
}
