//! Drives an order from its first record to its last: hold, pay, decide, settle, close. After a crash the record tells
//! the step at which to resume. An order that is cancelled while it is settled goes on in [`cancel`].

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::begin::WaitingOrder;
use super::cancel;
use super::coordinator::{Coordinator, abort};
use super::decide::{self, DecidedOrder, Outcome};
use super::payment::{self, NotAuthorised};
use super::stock::{self, Found};
use crate::domain::card::Card;
use crate::domain::order::{
    Created, Order, OrderRecord, Payable, Pending, Recorded, Refusal, Refused, RefusedPayment, Reserved, Settling,
    SingleItem, Unpaid, Unreserved, card_missing,
};
use crate::domain::reservation::{HoldMode, Settlement};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::payment::Capture;
use crate::process::fail_point;
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::engine::ReplyTo;
use crate::shard::records::orders;

/// The time from an order's beginning after which its customer has an answer, whatever is slow. It is less than the
/// facade's time limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(9);
/// The part of it that is left when a payment is not authorised yet, to find out what became of it.
const RESOLVE_TIME: Duration = Duration::from_secs(1);
/// The time for which other shards are told a decision. One that does not answer asks for it.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts to drive an order that was just placed. The reply goes out when it is decided.
pub fn start(coordinator: &Arc<Coordinator>, order: WaitingOrder, reply_to: ReplyTo) {
    let coordinator = coordinator.clone();
    tokio::spawn(async move { drive(&coordinator, order, reply_to).await });
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

async fn drive(coordinator: &Coordinator, order: WaitingOrder, reply_to: ReplyTo) {
    let since = Instant::now();
    let WaitingOrder { id, card, counted } = order;
    let answer = Answer::to(reply_to, counted);
    let mut work = pin!(run(coordinator, id, card, since, &answer));
    if timeout_at(since + ANSWER_TIMEOUT, &mut work).await.is_err() {
        answer.give_up();
        work.await;
    }
}

async fn run(coordinator: &Coordinator, id: OrderId, card: Option<Card>, since: Instant, answer: &Answer) {
    fail_point::hit("begun");
    // Nothing may be held for an order whose record could still be lost.
    let order = match coordinator.transact(|txn| orders::find(txn, id)).await {
        Ok(Some(OrderRecord::Pending(order))) => order,
        Ok(_) => {
            abort(&Error::Internal(format!("order {id} is not pending")), "an order was lost after it was written")
        }
        Err(error) => abort(&error, "an order cannot be read after it was written"),
    };
    fail_point::hit("pending");
    let prepared = reserve_and_pay(coordinator, order, card, since).await;
    conclude(coordinator, prepared, answer).await;
}

async fn resume(coordinator: &Coordinator, order: OrderRecord) {
    match order {
        OrderRecord::Pending(order) => {
            let place = coordinator.unresolved.enter_interrupted();
            let prepared = recover(coordinator, order.resumed(clock::now())).await;
            drop(place);
            conclude(coordinator, prepared, &Answer::to_nobody()).await;
        }
        OrderRecord::Created(order) => {
            let resumed_at = Some(clock::now());
            let settled = Settled { resumed_at, ..claim_and_capture(coordinator, order).await };
            close_created(coordinator, settled).await;
        }
        OrderRecord::Refused(order) => {
            let all = stock::all_lines(&order);
            let order = release(coordinator, order.resumed(clock::now()), &all).await;
            close_refused(coordinator, order).await;
        }
        OrderRecord::Cancelled(order) => cancel::resume(coordinator, order).await,
    }
}

/// An order that can be decided.
struct Prepared {
    outcome: Outcome,
    /// The positions of the lines that other shards hold for it, as far as that is known.
    held_elsewhere: BTreeSet<usize>,
}

async fn reserve_and_pay(
    coordinator: &Coordinator,
    mut order: Order<Pending>,
    card: Option<Card>,
    since: Instant,
) -> Prepared {
    let deadline = since + stock::HOLD_TIMEOUT;
    if card.is_none() {
        // Without a card an order that costs something is refused, so it must not hold stock that others could buy.
        let found = stock::hold(coordinator, &order, HoldMode::Quote, deadline).await;
        if let Err(error) = found.results.and_then(|found| order.quote(&found)) {
            return Prepared { outcome: Err(not_asked(order, error)), held_elsewhere: BTreeSet::new() };
        }
    }
    let Found { results, held_elsewhere } = stock::hold(coordinator, &order, HoldMode::Hold, deadline).await;
    let found = match results {
        Ok(found) => found,
        Err(error) => return Prepared { outcome: Err(not_asked(order, error)), held_elsewhere },
    };
    fail_point::hit("held");
    let item = SingleItem::of(&found);
    let outcome = match (order.hold(&found, clock::now()), card) {
        (Ok(Reserved::Free(order)), _) => Ok((order, item)),
        (Ok(Reserved::Due(order)), Some(card)) => {
            let deadline = since + ANSWER_TIMEOUT - RESOLVE_TIME;
            pay(coordinator, order, card, deadline).await.map(|order| (order, item))
        }
        (Ok(Reserved::Due(order)), None) => Err(order.refuse(card_missing(), RefusedPayment::NotAsked, clock::now())),
        (Err(Unreserved { order, error }), _) => Err(not_asked(order, error)),
    };
    Prepared { outcome, held_elsewhere }
}

fn not_asked(order: Order<Pending>, error: Error) -> Refusal {
    order.refuse(error, RefusedPayment::NotAsked, clock::now())
}

async fn pay(
    coordinator: &Coordinator,
    order: Order<Unpaid>,
    card: Card,
    deadline: Instant,
) -> std::result::Result<Order<Payable>, Refusal> {
    fail_point::hit("paying");
    match payment::authorise(coordinator, &payment::of(order.due()), card, deadline).await {
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
async fn recover(coordinator: &Coordinator, order: Order<Pending>) -> Prepared {
    let held_elsewhere = stock::all_lines(&order);
    let outcome = recover_payment(coordinator, order).await;
    Prepared { outcome, held_elsewhere }
}

async fn recover_payment(coordinator: &Coordinator, order: Order<Pending>) -> Outcome {
    let interrupted = || Error::Unavailable("the order was interrupted; nothing was charged or applied".into());
    let Some(payment) = payment::of_interrupted(&order) else { return Err(not_asked(order, interrupted())) };
    let transaction = match payment::resolve(coordinator, &payment, Duration::ZERO).await {
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

/// Decides an order, replies, settles and closes it. The reply of a refusal waits until the stock is released that is
/// known to be held.
async fn conclude(coordinator: &Coordinator, prepared: Prepared, answer: &Answer) {
    let Prepared { outcome, held_elsewhere } = prepared;
    fail_point::hit("deciding");
    let decided = coordinator.transact(|txn| decide::commit(txn, outcome)).await;
    let (order, reply) = decided.unwrap_or_else(|error| abort(&error, "an order cannot be decided"));
    fail_point::hit("decided");
    match order {
        DecidedOrder::Created(order) => {
            answer.send(reply);
            let settled = claim_and_capture(coordinator, order).await;
            fail_point::hit("settled");
            close_created(coordinator, settled).await;
        }
        DecidedOrder::Refused(order) => {
            let order = release(coordinator, order, &held_elsewhere).await;
            answer.send(reply);
            fail_point::hit("settled");
            close_refused(coordinator, order).await;
        }
    }
}

/// What became of a created order's stock and payment.
struct Settled {
    order: OrderId,
    /// The time of the restart after which this shard went on with it.
    resumed_at: Option<Timestamp>,
    /// The time at which all other shards had sold its stock; `None` when one did not answer.
    claimed_at: Option<Timestamp>,
    /// The end of its payment's capture.
    captured: Option<(Capture, Timestamp)>,
}

/// Claims a created order's stock on the other shards, and captures its payment. Neither waits for the other.
async fn claim_and_capture(coordinator: &Coordinator, mut order: Order<Created>) -> Settled {
    let due = order.capture_due().map(|due| payment::of(due.due()));
    let all = stock::all_lines(&order);
    let claim = async {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let told = stock::settle_elsewhere(coordinator, &order, &all, Settlement::Claim, deadline).await;
        fail_point::hit("claimed");
        told.then(clock::now)
    };
    let capture = async {
        let payment = due.as_ref()?;
        Some((payment::capture(coordinator, payment).await, clock::now()))
    };
    let (claimed_at, captured) = tokio::join!(claim, capture);
    Settled { order: order.id, resumed_at: None, claimed_at, captured }
}

/// Closes a created order. One that was cancelled meanwhile is not closed: its stock and its payment go back.
async fn close_created(coordinator: &Coordinator, settled: Settled) {
    let id = settled.order;
    let found = coordinator.transact(|txn| {
        Ok(match orders::find(txn, id)? {
            Some(OrderRecord::Created(order)) => {
                orders::put_closed(txn, &mut note_settled(coordinator, order, &settled));
                None
            }
            Some(OrderRecord::Cancelled(order)) => {
                let mut order = note_settled(coordinator, order, &settled);
                orders::put_open(txn, &mut order);
                Some(order)
            }
            None | Some(OrderRecord::Pending(_) | OrderRecord::Refused(_)) => {
                return Err(Error::Internal(format!("order {id} is neither created nor cancelled")));
            }
        })
    });
    match found.await {
        Ok(None) => fail_point::hit("closed"),
        Ok(Some(order)) => cancel::go_on(coordinator, order).await,
        Err(error) => abort(&error, "an order cannot be closed"),
    }
}

/// Adds to an order what became of its stock and payment.
fn note_settled<S: Settling>(coordinator: &Coordinator, order: Order<S>, settled: &Settled) -> Order<S> {
    let mut order = match settled.resumed_at {
        Some(at) => order.resumed(at),
        None => order,
    };
    settled.claimed_at.into_iter().for_each(|at| order.claimed(at));
    let (Some((capture, at)), Some(due)) = (&settled.captured, order.capture_due()) else { return order };
    match capture {
        Capture::Captured => due.captured(*at),
        Capture::Refused { reason } => {
            coordinator.count_failed_capture();
            let id = settled.order;
            tracing::error!(order = %id, reason, "capture refused by the payment gateway; the order stays created");
            due.failed(*at);
        }
    }
    order
}

/// Releases a refused order's stock on the other shards, as far as they are known to hold it.
async fn release(coordinator: &Coordinator, mut order: Order<Refused>, held: &BTreeSet<usize>) -> Order<Refused> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    if stock::settle_elsewhere(coordinator, &order, held, Settlement::Release, deadline).await {
        order.released(clock::now());
    }
    fail_point::hit("claimed");
    order
}

async fn close_refused(coordinator: &Coordinator, mut order: Order<Refused>) {
    coordinator.transact(|txn| orders::put_closed(txn, &mut order)).await;
    fail_point::hit("closed");
}
