//! What an order of another shard holds here and does not come back to: its home is asked, again and
//! again, what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Orders;
use crate::domain::reservation::{Reservation, Ruling};
use crate::protocol::{Command, Outcome, Request, Settle};
use crate::shard::{clock, reservations};

/// How often reservations are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most that are asked about at a time.
const MAX_AT_A_TIME: usize = 256;

/// Asks for ever.
pub async fn ask_for_ever(orders: Arc<Orders>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let due = reservations::due(&mut orders.core.lock(), clock::now(), MAX_AT_A_TIME);
        join_all(due.into_iter().map(|reservation| orders.ask(reservation))).await;
    }
}

impl Orders {
    async fn ask(&self, reservation: Reservation) {
        let Some(client) = &self.client else { return };
        let order = reservation.order;
        let ruling = match client.call(&Request::new(Command::Rule { order })).await.result.map(|answer| answer.outcome)
        {
            Ok(Outcome::Ruling(ruling)) => ruling,
            Ok(_) | Err(_) => Ruling::Keep,
        };
        if ruling == Ruling::Keep {
            return;
        }
        let settle = Settle { order, products: vec![reservation.product], ruling };
        if let Err(error) = self.durably(|writer, now| reservations::settle(writer, &settle, now)).await {
            tracing::error!(%order, %error, "a reservation cannot be settled");
        }
    }
}
