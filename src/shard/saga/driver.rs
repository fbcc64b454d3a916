//! Drives an order from its first record to its last: hold, pay, decide, settle, close. After a crash the record says
//! where to go on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::coordinator::{Coordinator, abort};
use super::{decide, payment, stock};
use crate::domain::card::Card;
use crate::domain::order::{Event, Order, PaymentStatus, SingleItem, Status};
use crate::domain::reservation::Ruling;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::protocol::WireReply;
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::engine::ReplyTo;
use crate::shard::records::orders;

/// The time after an order's begin at which a refusal is sent, although not every hold is released yet; less than the
/// facade waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Starts to drive an order that was just placed. The reply goes out when it is decided.
pub fn start(coordinator: &Arc<Coordinator>, id: OrderId, card: Option<Card>, reply_to: ReplyTo) {
    let coordinator = coordinator.clone();
    tokio::spawn(async move { drive(&coordinator, id, card, reply_to).await });
}

/// Goes on with every order that is not done with, after a start of the shard.
pub fn resume_all(coordinator: &Arc<Coordinator>) {
    let open = orders::all_open(coordinator.writer.lock().state());
    for order in open.unwrap_or_else(|error| abort(&error, "an open order cannot be read")) {
        tracing::info!(order = %order.id, status = order.status.name(), "resuming an order");
        let coordinator = coordinator.clone();
        tokio::spawn(async move { resume(&coordinator, order).await });
    }
}

async fn drive(coordinator: &Coordinator, id: OrderId, card: Option<Card>, reply_to: ReplyTo) {
    fail_point::hit("begun");
    let since = Instant::now();
    // Nothing may be held for an order whose record could still be lost.
    let order = coordinator.transact(|txn| orders::find(txn, id)).await;
    let Ok(Some(mut order)) = order else {
        tracing::error!(order = %id, "the record of an order that was just written cannot be read");
        return;
    };
    fail_point::hit("pending");
    let outcome = hold_and_pay(coordinator, &mut order, card, since + stock::HOLD_TIMEOUT).await;
    conclude(coordinator, order, outcome, Some(reply_to), since + ANSWER_TIMEOUT).await;
}

async fn resume(coordinator: &Coordinator, mut order: Order) {
    if order.is_pending() {
        order.note(Event::Resumed, clock::now());
        let since = Instant::now();
        let outcome = recover(coordinator, &mut order).await;
        conclude(coordinator, order, outcome, None, since + ANSWER_TIMEOUT).await;
    } else {
        settle(coordinator, &mut order).await;
        close(coordinator, order).await;
    }
}

async fn hold_and_pay(
    coordinator: &Coordinator,
    order: &mut Order,
    card: Option<Card>,
    deadline: Instant,
) -> Result<SingleItem> {
    if card.is_none() {
        // Without a card an order that costs something is refused, so nothing is taken from others for it.
        let found = stock::hold(coordinator, order, true, deadline).await?;
        order.price(&found, false)?;
    }
    let found = stock::hold(coordinator, order, false, deadline).await?;
    fail_point::hit("held");
    order.price(&found, card.is_some())?;
    order.note(Event::Held, clock::now());
    if order.asks_payment() {
        let card = card.ok_or_else(payment::no_card)?;
        fail_point::hit("paying");
        payment::authorise(coordinator, order, &card).await?;
        fail_point::hit("paid");
    }
    Ok(SingleItem::of(&found))
}

/// Decides an order that a crash interrupted. The card is gone, on purpose: an order is created only if its money is
/// set aside already.
async fn recover(coordinator: &Coordinator, order: &mut Order) -> Result<SingleItem> {
    let interrupted = || Error::Unavailable("the order was interrupted; nothing was charged or applied".into());
    if order.payment.status != PaymentStatus::Pending {
        return Err(interrupted());
    }
    payment::resolve(coordinator, order).await?;
    // All is held already, as the money was asked for after that; this finds the prices again.
    let found = loop {
        match stock::hold(coordinator, order, false, Instant::now() + stock::HOLD_TIMEOUT).await {
            Ok(found) => break found,
            Err(error) => tracing::warn!(order = %order.id, %error, "a paid order waits for its stock"),
        }
    };
    if let Err(error) = order.price(&found, true) {
        tracing::error!(order = %order.id, %error, "a paid order has lost its stock; its payment is voided");
        payment::void(coordinator, order).await;
        return Err(interrupted());
    }
    Ok(SingleItem::of(&found))
}

/// Decides an order, replies, settles and closes it. A refusal waits until everything is released, but not past the
/// deadline.
async fn conclude(
    coordinator: &Coordinator,
    mut order: Order,
    outcome: Result<SingleItem>,
    reply_to: Option<ReplyTo>,
    deadline: Instant,
) {
    let send = |reply: WireReply| {
        if let Some(reply_to) = reply_to {
            reply_to.send(reply);
        }
    };
    fail_point::hit("deciding");
    let decided = coordinator.transact(|txn| decide::commit(txn, &mut order, outcome.as_ref())).await;
    let reply = decided.unwrap_or_else(|error| abort(&error, "an order cannot be decided"));
    fail_point::hit("decided");
    if outcome.is_ok() {
        send(reply);
        settle(coordinator, &mut order).await;
    } else {
        let mut settled = pin!(settle(coordinator, &mut order));
        let in_time = tokio::time::timeout_at(deadline, &mut settled).await.is_ok();
        send(reply);
        if !in_time {
            settled.await;
        }
    }
    fail_point::hit("settled");
    close(coordinator, order).await;
}

/// Tells the other shards and the payment gateway the decision.
async fn settle(coordinator: &Coordinator, order: &mut Order) {
    let created = order.status == Status::Created;
    let ruling = if created { Ruling::Claim } else { Ruling::Release };
    stock::settle_elsewhere(coordinator, order, ruling).await;
    order.note(if created { Event::Claimed } else { Event::Released }, clock::now());
    fail_point::hit("claimed");
    if created && order.payment.status == PaymentStatus::Authorised {
        payment::capture(coordinator, order).await;
    }
}

async fn close(coordinator: &Coordinator, mut order: Order) {
    coordinator.transact(|txn| orders::put_closed(txn, &mut order)).await;
    fail_point::hit("closed");
}
