//! One order from its first record to its last: hold, pay, decide, settle, close. Whatever crashes, the
//! record tells where to go on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::begin::Single;
use super::holds::HOLD_TIMEOUT;
use super::{Customer, Orders, decide, record};
use crate::domain::card::Card;
use crate::domain::order::{Event, Order, PaymentStatus, Status};
use crate::domain::reservation::Ruling;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::protocol::proto;
use crate::routing::OrderId;
use crate::shard::clock;
use crate::shard::outbox::Waiting;

/// How long a refusal waits for every hold to be released, counted from the order's begin; less than
/// the facade waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// An order that is being driven.
pub struct Saga {
    orders: Arc<Orders>,
    order: Order,
    card: Option<Card>,
    customer: Option<Customer>,
    since: Instant,
}

impl Saga {
    /// Drives an order that was just begun.
    pub async fn begun(orders: Arc<Orders>, id: OrderId, card: Option<Card>, customer: Customer) {
        fail_point::hit("begun");
        let since = Instant::now();
        // Nothing may be held for an order whose record could still be lost.
        let order = orders.durably(|writer, _| record::find(writer, id)).await;
        let Ok(Some(order)) = order else {
            tracing::error!(order = %id, "the record of an order that was just written cannot be read");
            return;
        };
        fail_point::hit("pending");
        let mut saga = Saga { orders, order, card, customer: Some(customer), since };
        let outcome = saga.hold_and_pay().await;
        saga.conclude(outcome).await;
    }

    /// Goes on with an order after a start of its shard.
    pub async fn resumed(orders: Arc<Orders>, order: Order) {
        let mut saga = Saga { orders, order, card: None, customer: None, since: Instant::now() };
        if saga.order.is_pending() {
            saga.order.note(Event::Resumed, clock::now());
            let outcome = saga.recover().await;
            saga.conclude(outcome).await;
        } else {
            saga.settle().await;
            saga.close().await;
        }
    }

    async fn hold_and_pay(&mut self) -> Result<Single> {
        let deadline = self.since + HOLD_TIMEOUT;
        if self.card.is_none() {
            // Without a card there will be no order that costs anything: nothing is taken from others.
            let found = self.orders.hold(&self.order, true, deadline).await?;
            self.order.price(&found, false)?;
        }
        let found = self.orders.hold(&self.order, false, deadline).await?;
        fail_point::hit("held");
        self.order.price(&found, self.card.is_some())?;
        self.order.note(Event::Held, clock::now());
        if self.order.asks_payment() {
            let card =
                self.card.take().ok_or_else(|| Error::PaymentRefused("payment: a card_number is needed".into()))?;
            fail_point::hit("paying");
            self.orders.authorise(&mut self.order, &card).await?;
            fail_point::hit("paid");
        }
        Ok(decide::single(&found))
    }

    /// The card is gone, on purpose: an order stands only if its money is set aside already.
    async fn recover(&mut self) -> Result<Single> {
        let unfinished = || Error::Unavailable("the order was interrupted; nothing was charged or applied".into());
        if self.order.payment.status != PaymentStatus::Pending {
            return Err(unfinished());
        }
        self.orders.find_out(&mut self.order).await?;
        // All is held already, as the money was asked for after that; this finds the prices again.
        let found = loop {
            match self.orders.hold(&self.order, false, Instant::now() + HOLD_TIMEOUT).await {
                Ok(found) => break found,
                Err(error) => tracing::warn!(order = %self.order.id, %error, "a paid order waits for its stock"),
            }
        };
        if let Err(error) = self.order.price(&found, true) {
            tracing::error!(order = %self.order.id, %error, "a paid order has lost its stock and is given up");
            self.orders.give_up(&mut self.order).await;
            return Err(unfinished());
        }
        Ok(decide::single(&found))
    }

    async fn conclude(mut self, outcome: Result<Single>) {
        let created = outcome.is_ok();
        fail_point::hit("deciding");
        let reply = self.decide(outcome.as_ref()).await;
        fail_point::hit("decided");
        if created {
            self.answer(reply);
            self.settle().await;
        } else {
            let deadline = self.since + ANSWER_TIMEOUT;
            let customer = self.customer.take();
            let mut settle = pin!(self.settle());
            let in_time = tokio::time::timeout_at(deadline, &mut settle).await.is_ok();
            if let Some(customer) = customer {
                customer.answer(reply);
            }
            if !in_time {
                settle.await;
            }
        }
        fail_point::hit("settled");
        self.close().await;
    }

    async fn decide(&mut self, outcome: std::result::Result<&Single, &Error>) -> proto::Reply {
        let order = &mut self.order;
        let decided = self.orders.durably(|writer, now| decide::run(writer, order, outcome, now)).await;
        decided.unwrap_or_else(|error| {
            tracing::error!(order = %self.order.id, %error, "an order cannot be decided: ending, so that it is tried again");
            std::process::abort();
        })
    }

    fn answer(&mut self, reply: proto::Reply) {
        if let Some(customer) = self.customer.take() {
            customer.answer(reply);
        }
    }

    /// Tells the other shards and the payment gateway what was decided.
    async fn settle(&mut self) {
        let created = self.order.status == Status::Created;
        let ruling = if created { Ruling::Claim } else { Ruling::Release };
        self.orders.settle_elsewhere(&self.order, ruling).await;
        self.order.note(if created { Event::Claimed } else { Event::Released }, clock::now());
        fail_point::hit("claimed");
        if created && self.order.payment.status == PaymentStatus::Authorised {
            self.orders.capture(&mut self.order).await;
        }
    }

    async fn close(mut self) {
        let order = &mut self.order;
        self.orders.durably(|writer, _| record::put_closed(writer, order)).await;
        fail_point::hit("closed");
    }
}

impl Customer {
    fn answer(self, mut reply: proto::Reply) {
        reply.id = self.id;
        Waiting::Reply { outbox: self.outbox, reply }.deliver();
    }
}
