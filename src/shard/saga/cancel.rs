//! Cancels a created order: one commit cancels it with its deliveries and takes this shard's stock back. After that, the
//! other shards take theirs back and the gateway gives the payment back, each repeated until it is done.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::coordinator::{Coordinator, abort};
use super::payment::{self, GivenBack};
use super::stock;
use crate::domain::order::{Cancelled, Facts, IdempotencyRef, Order, OrderRecord, Recorded, SingleItem};
use crate::domain::tag::Condition;
use crate::domain::time::Timestamp;
use crate::error::{ConflictCode, Error, Result};
use crate::process::fail_point;
use crate::protocol::{CommandOutput, Request, encode_reply};
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::engine::{ReplyTo, Transaction};
use crate::shard::records::{deliveries, idempotency, orders, returns};

/// The most orders of a shard that are being cancelled. Past that, cancellations are refused before anything is applied.
const MAX_CANCELLING: usize = 256;
/// The time after which who cancels has an answer. It is less than the facade's time limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(9);
/// The part of it for which the answer waits for the stock of other shards.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of a cancellation's first commit.
pub enum Begun {
    /// It was cancelled before, and its payment has ended.
    Done(CommandOutput),
    /// It is cancelled, and its stock and money are to go back.
    Cancelling {
        /// True when a driver settles the order: it goes on with this when that is done.
        has_driver: bool,
    },
}

/// Cancels an order, unless its goods were dispatched.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::InFlight`] while it is being decided or cancelled,
/// [`Error::Conflict`] when it was refused or its goods were dispatched, [`Error::Unavailable`] past a limit. Nothing is
/// written then.
pub fn begin(txn: &mut Transaction<'_>, request: &Request, id: OrderId, key: Option<&IdempotencyRef>) -> Result<Begun> {
    let found = orders::find(txn, id)?;
    Condition::check(request.if_match.as_ref(), found.as_ref().map(|order| order.tag()))?;
    let has_driver = orders::is_open(txn, id);
    let order = match found.ok_or_else(orders::no_such_order)? {
        OrderRecord::Created(order) => order,
        OrderRecord::Cancelled(mut order) => {
            if has_driver && order.give_back_due().is_some() {
                return Err(Error::InFlight("the order is being cancelled".into()));
            }
            return Ok(Begun::Done(CommandOutput::order(&order, &SingleItem::default())));
        }
        OrderRecord::Pending(_) => return Err(Error::InFlight("the order is not decided yet".into())),
        order @ OrderRecord::Refused(_) => {
            let status = order.recorded_state().status.name();
            let detail = format!("the order is {status}, not created");
            return Err(Error::conflict(ConflictCode::OrderNotCreated, detail));
        }
    };
    let scheduled = deliveries::cancellable(txn, id)?;
    check_capacity(txn, has_driver)?;
    fail_point::hit("cancelling");
    deliveries::cancel(txn, scheduled);
    let mut order = order.cancel(key.cloned(), txn.now());
    for line in order.lines.iter().filter_map(stock::returned_line) {
        if txn.owns(line.product.hash()) {
            returns::take_line_back(txn, id, &line)?;
        }
    }
    orders::put_open(txn, &mut order);
    if let Some(key) = key {
        idempotency::mark_in_flight(txn, idempotency::scope(request), key);
    }
    Ok(Begun::Cancelling { has_driver })
}

fn check_capacity(txn: &Transaction<'_>, has_driver: bool) -> Result<()> {
    if !has_driver {
        orders::check_capacity(txn)?;
    }
    if txn.indexes().orders.cancelling.count() >= MAX_CANCELLING {
        return Err(Error::Unavailable("too many orders are being cancelled; nothing was applied".into()));
    }
    Ok(())
}

/// Goes on with an order that was just cancelled. The reply goes out when its payment is given back.
pub fn start(coordinator: &Arc<Coordinator>, id: OrderId, has_driver: bool, reply_to: ReplyTo) {
    coordinator.cancellations.enter(id, Some(reply_to));
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let coordinator = coordinator.clone();
    tokio::spawn(async move {
        let work = async {
            if !has_driver {
                run(&coordinator, id).await;
            }
        };
        let late = async {
            sleep_until(deadline).await;
            coordinator.cancellations.give_up(id);
        };
        tokio::join!(work, late);
    });
}

async fn run(coordinator: &Coordinator, id: OrderId) {
    // Nothing may go back for a cancellation that could still be lost.
    match coordinator.transact(|txn| orders::find(txn, id)).await {
        Ok(Some(OrderRecord::Cancelled(order))) => go_on(coordinator, order).await,
        Ok(_) => {
            abort(&Error::Internal(format!("order {id} is not cancelled")), "an order was lost after it was cancelled")
        }
        Err(error) => abort(&error, "an order cannot be read after it was cancelled"),
    }
}

/// Resumes a cancellation after a restart of the shard.
pub async fn resume(coordinator: &Coordinator, order: Order<Cancelled>) {
    coordinator.cancellations.enter(order.id, None);
    go_on(coordinator, order.resumed(clock::now())).await;
}

/// Takes the stock of other shards back and gives the payment back, neither waiting for the other; replies, and closes the
/// order. Its record is durable, and nothing else settles it.
pub async fn go_on(coordinator: &Coordinator, mut order: Order<Cancelled>) {
    fail_point::hit("cancelled");
    let id = order.id;
    let facts = Facts::clone(&order);
    let mut stock = pin!(async {
        stock::return_elsewhere(coordinator, &facts).await;
        fail_point::hit("returned");
        clock::now()
    });
    let due = order.give_back_due().map(|due| payment::of(due.due()));
    let money = async {
        let payment = due.as_ref()?;
        fail_point::hit("giving_back");
        let given_back = payment::give_back(coordinator, payment).await;
        fail_point::hit("given_back");
        Some((given_back, clock::now()))
    };
    let (returned, money) = tokio::join!(timeout_at(Instant::now() + RETURN_TIMEOUT, &mut stock), money);
    if let Some((given_back, at)) = money {
        note_payment(coordinator, &mut order, given_back, at);
    }
    let order = finish(coordinator, order, returned.ok()).await;
    if let Some(mut order) = order {
        order.returned(stock.await);
        let closed = coordinator.transact(|txn| {
            orders::put_closed(txn, &mut order);
            order.cancel_key().into_iter().for_each(|key| idempotency::close(txn, key));
        });
        closed.await;
    }
    coordinator.cancellations.close(id);
    fail_point::hit("closed");
}

fn note_payment(coordinator: &Coordinator, order: &mut Order<Cancelled>, given_back: GivenBack, at: Timestamp) {
    let Some(due) = order.give_back_due() else { return };
    match given_back {
        GivenBack::Voided => due.voided(at),
        GivenBack::Refunded => due.refunded(at),
        GivenBack::Refused { reason } => {
            coordinator.count_failed_refund();
            let id = due.due().order;
            tracing::error!(order = %id, reason, "refund refused by the payment gateway; the order stays cancelled");
            due.failed(at);
        }
    }
}

/// Writes the end of the payment, keeps the reply under the key, and replies. Returns the order if some of its stock is not
/// back yet; else it is closed.
async fn finish(
    coordinator: &Coordinator,
    mut order: Order<Cancelled>,
    returned: Option<Timestamp>,
) -> Option<Order<Cancelled>> {
    fail_point::hit("finishing");
    let id = order.id;
    let (reply, order) = coordinator
        .transact(move |txn| {
            match returned {
                Some(at) => {
                    order.returned(at);
                    orders::put_closed(txn, &mut order);
                }
                None => orders::put_open(txn, &mut order),
            }
            let reply = encode_reply(Ok(CommandOutput::order(&order, &SingleItem::default())), txn.now());
            if let Some(key) = order.cancel_key() {
                idempotency::keep_open(txn, idempotency::scope_of_cancellation(&order), key, &reply);
                if returned.is_some() {
                    idempotency::close(txn, key);
                }
            }
            (reply, order)
        })
        .await;
    fail_point::hit("finished");
    coordinator.cancellations.answer(id, reply);
    returned.is_none().then_some(order)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::begin;
    use super::*;
    use crate::domain::money::Money;
    use crate::domain::product::{Details, Product};
    use crate::protocol::{Basket, Command, OrderCommand, PlaceOrder, Placed, decode_reply};
    use crate::routing::{ProductId, SLOTS};
    use crate::shard::engine::{Resident, Writer};
    use crate::shard::records::products;
    use crate::storage::MemoryStorage;

    /// A shard with an order of one copy of a product.
    fn shard() -> (Writer, OrderId) {
        let mut writer = Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS - 1);
        let details =
            Details { title: "T".into(), author: None, topic: None, has_isbn: false, price: Money::default() };
        let id = ProductId::new("p").unwrap();
        let mut txn = Transaction::begin(&mut writer, Timestamp::default());
        let incarnation = txn.next_version();
        products::put(&mut txn, &id, None, &mut Product::new(details, 5, incarnation));
        let place = PlaceOrder { basket: Basket::Purchase(id), card: None };
        let request = Request::new(Command::Order(OrderCommand::Place(place.clone())));
        let placed = begin::run(&mut txn, &request, &place, None);
        let Ok(begin::Begun::Decided(output)) = placed else { panic!("it needs no payment") };
        let placed = decode_reply(encode_reply(Ok(output), Timestamp::default())).typed::<Placed>();
        (writer, placed.result.unwrap().body.order.id)
    }

    /// Cancels an order; what is not in memory is not in storage either.
    fn cancel(writer: &mut Writer, id: OrderId) -> Result<Begun> {
        let request = Request::new(Command::Order(OrderCommand::Cancel(id)));
        let mut fetched = Vec::new();
        loop {
            let mut txn = Transaction::begin_with(writer, Timestamp::default(), &fetched);
            let result = begin(&mut txn, &request, id, None);
            let Some(missing) = txn.take_missing() else { return result };
            let stamp = writer.stamp(&missing);
            fetched.push(missing.with(stamp, None));
        }
    }

    #[test]
    fn cancellations_are_limited() {
        let (mut writer, id) = shard();
        let cancelling = writer.indexes().orders.cancelling.clone();
        let mut counted: Vec<_> = (0..MAX_CANCELLING).map(|_| cancelling.enter()).collect();
        let refused = cancel(&mut writer, id).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("too many orders are being cancelled; nothing was applied"), "{refused}");
        counted.pop();
        assert!(matches!(cancel(&mut writer, id), Ok(Begun::Cancelling { has_driver: false })));
        assert!(matches!(cancel(&mut writer, id), Ok(Begun::Done(_))), "it has no payment to give back");
    }
}
