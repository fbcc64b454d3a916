//! Drives an order from its first record to its last: hold, pay, decide, settle, close. After a crash the record tells
//! the step at which to resume.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::coordinator::{Coordinator, abort};
use super::decide::{self, Outcome};
use super::payment::{self, NotAuthorised};
use super::stock;
use crate::domain::card::Card;
use crate::domain::order::{
    Created, DecidedOrder, Order, OrderRecord, Payable, Pending, Recorded, Refusal, Refused, RefusedPayment, Reserved,
    SingleItem, Unpaid, Unreserved, card_missing,
};
use crate::domain::reservation::{HoldMode, Settlement};
use crate::error::Error;
use crate::payment::Capture;
use crate::process::fail_point;
use crate::protocol::WireReply;
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::engine::ReplyTo;
use crate::shard::records::orders;

/// The time from an order's beginning after which a refusal is sent although not every hold is released yet. It is
/// less than the facade's time limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Starts to drive an order that was just placed. The reply goes out when it is decided.
pub fn start(coordinator: &Arc<Coordinator>, id: OrderId, card: Option<Card>, reply_to: ReplyTo) {
    let coordinator = coordinator.clone();
    tokio::spawn(async move { drive(&coordinator, id, card, reply_to).await });
}

/// Resumes every open order after a start of the shard.
pub fn resume_all(coordinator: &Arc<Coordinator>) {
    let open = orders::all_open(coordinator.writer.lock().state());
    for order in open.unwrap_or_else(|error| abort(&error, "an open order cannot be read")) {
        tracing::info!(order = %order.id, status = order.recorded_state().status.name(), "resuming an order");
        let coordinator = coordinator.clone();
        tokio::spawn(async move { resume(&coordinator, order).await });
    }
}

async fn drive(coordinator: &Coordinator, id: OrderId, card: Option<Card>, reply_to: ReplyTo) {
    fail_point::hit("begun");
    let since = Instant::now();
    // Nothing may be held for an order whose record could still be lost.
    let order = match coordinator.transact(|txn| orders::find(txn, id)).await {
        Ok(Some(OrderRecord::Pending(order))) => order,
        Ok(_) => {
            abort(&Error::Internal(format!("order {id} is not pending")), "an order was lost after it was written")
        }
        Err(error) => abort(&error, "an order cannot be read after it was written"),
    };
    fail_point::hit("pending");
    let outcome = reserve_and_pay(coordinator, order, card, since + stock::HOLD_TIMEOUT).await;
    conclude(coordinator, outcome, Some(reply_to), since + ANSWER_TIMEOUT).await;
}

async fn resume(coordinator: &Coordinator, order: OrderRecord) {
    match order {
        OrderRecord::Pending(order) => {
            let since = Instant::now();
            let outcome = recover(coordinator, order.resumed(clock::now())).await;
            conclude(coordinator, outcome, None, since + ANSWER_TIMEOUT).await;
        }
        OrderRecord::Created(order) => {
            let order = claim_and_capture(coordinator, order).await;
            close(coordinator, DecidedOrder::Created(order)).await;
        }
        OrderRecord::Refused(order) => {
            let order = release(coordinator, order).await;
            close(coordinator, DecidedOrder::Refused(order)).await;
        }
    }
}

async fn reserve_and_pay(
    coordinator: &Coordinator,
    mut order: Order<Pending>,
    card: Option<Card>,
    deadline: Instant,
) -> Outcome {
    if card.is_none() {
        // Without a card an order that costs something is refused, so it must not hold stock that others could buy.
        let found = stock::hold(coordinator, &order, HoldMode::Quote, deadline).await;
        if let Err(error) = found.and_then(|found| order.quote(&found)) {
            return Err(not_asked(order, error));
        }
    }
    let found = match stock::hold(coordinator, &order, HoldMode::Hold, deadline).await {
        Ok(found) => found,
        Err(error) => return Err(not_asked(order, error)),
    };
    fail_point::hit("held");
    let item = SingleItem::of(&found);
    match (order.hold(&found, clock::now()), card) {
        (Ok(Reserved::Free(order)), _) => Ok((order, item)),
        (Ok(Reserved::Due(order)), Some(card)) => Ok((pay(coordinator, order, &card).await?, item)),
        (Ok(Reserved::Due(order)), None) => Err(order.refuse(card_missing(), RefusedPayment::NotAsked, clock::now())),
        (Err(Unreserved { order, error }), _) => Err(not_asked(order, error)),
    }
}

fn not_asked(order: Order<Pending>, error: Error) -> Refusal {
    order.refuse(error, RefusedPayment::NotAsked, clock::now())
}

async fn pay(
    coordinator: &Coordinator,
    order: Order<Unpaid>,
    card: &Card,
) -> std::result::Result<Order<Payable>, Refusal> {
    fail_point::hit("paying");
    let authorised = payment::authorise(coordinator, &payment::of(order.due()), card).await;
    match authorised {
        Ok(transaction) => {
            let order = order.authorised(transaction, clock::now());
            fail_point::hit("paid");
            Ok(order)
        }
        Err(NotAuthorised { error, payment }) => Err(order.refuse(error, payment, clock::now())),
    }
}

/// Prepares the decision on an order that a crash interrupted. Cards are never stored, so the order is created only if
/// its payment was authorised before the crash.
async fn recover(coordinator: &Coordinator, order: Order<Pending>) -> Outcome {
    let interrupted = || Error::Unavailable("the order was interrupted; nothing was charged or applied".into());
    let Some(payment) = payment::of_interrupted(&order) else { return Err(not_asked(order, interrupted())) };
    let transaction = match payment::resolve(coordinator, &payment).await {
        Ok(transaction) => transaction,
        Err(NotAuthorised { error, payment }) => return Err(order.refuse(error, payment, clock::now())),
    };
    // The stock is already held, since the payment comes after the hold. Repeating the hold finds the prices.
    let found = stock::hold_until_answered(coordinator, &order).await;
    let item = SingleItem::of(&found);
    match order.hold_paid(&found, transaction.clone(), clock::now()) {
        Ok(order) => Ok((order, item)),
        Err(Unreserved { order, error }) => {
            tracing::error!(order = %order.id, %error, "a paid order has lost its stock; its payment is voided");
            payment::void(coordinator, &payment).await;
            let voided = RefusedPayment::Voided { transaction: Some(transaction) };
            Err(order.refuse(interrupted(), voided, clock::now()))
        }
    }
}

/// Decides an order, replies, settles and closes it. The reply of a refusal waits until all stock is released, but not
/// past the deadline.
async fn conclude(coordinator: &Coordinator, outcome: Outcome, reply_to: Option<ReplyTo>, deadline: Instant) {
    let send = |reply: WireReply| {
        if let Some(reply_to) = reply_to {
            reply_to.send(reply);
        }
    };
    fail_point::hit("deciding");
    let decided = coordinator.transact(|txn| decide::commit(txn, outcome)).await;
    let (order, reply) = decided.unwrap_or_else(|error| abort(&error, "an order cannot be decided"));
    fail_point::hit("decided");
    let order = match order {
        DecidedOrder::Created(order) => {
            send(reply);
            DecidedOrder::Created(claim_and_capture(coordinator, order).await)
        }
        DecidedOrder::Refused(order) => {
            let mut released = pin!(release(coordinator, order));
            let in_time = timeout_at(deadline, &mut released).await;
            send(reply);
            DecidedOrder::Refused(match in_time {
                Ok(order) => order,
                Err(_) => released.await,
            })
        }
    };
    fail_point::hit("settled");
    close(coordinator, order).await;
}

/// Claims a created order's stock on the other shards, and captures its payment.
async fn claim_and_capture(coordinator: &Coordinator, mut order: Order<Created>) -> Order<Created> {
    stock::settle_elsewhere(coordinator, &order, Settlement::Claim).await;
    order.claimed(clock::now());
    fail_point::hit("claimed");
    if let Some(due) = order.capture_due() {
        let payment = payment::of(due.due());
        match payment::capture(coordinator, &payment).await {
            Capture::Captured => due.captured(clock::now()),
            Capture::Refused { reason } => {
                coordinator.count_failed_capture();
                let order = payment.order;
                tracing::error!(%order, reason, "capture refused by the payment gateway; the order stays created");
                due.failed(clock::now());
            }
        }
    }
    order
}

/// Releases a refused order's stock on the other shards.
async fn release(coordinator: &Coordinator, mut order: Order<Refused>) -> Order<Refused> {
    stock::settle_elsewhere(coordinator, &order, Settlement::Release).await;
    order.released(clock::now());
    fail_point::hit("claimed");
    order
}

async fn close(coordinator: &Coordinator, mut order: DecidedOrder) {
    coordinator.transact(|txn| orders::put_closed(txn, &mut order)).await;
    fail_point::hit("closed");
}
