//! The states of an order and the transitions between them. A transition consumes the order, or changes it
//! in place where the state stays the same, and adds its step to the history.

use std::ops::Deref;

use super::facts::{Facts, IdempotencyRef, NewOrder, card_missing};
use super::history::OrderEvent;
use crate::domain::card::LastFour;
use crate::domain::money::Total;
use crate::domain::reservation::HoldResult;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::routing::{DeliveryId, OrderId};

/// An order in one state. Its facts can be read in every state; only transitions change them.
#[derive(Debug, PartialEq, Eq)]
pub struct Order<S> {
    /// Boxed, so that a transition moves a pointer.
    pub(super) facts: Box<Facts>,
    pub(super) state: S,
}

/// Stored, undecided.
#[derive(Debug, PartialEq, Eq)]
pub struct Pending;

/// All stock is held; a payment is due and not authorised. Its record says pending.
#[derive(Debug, PartialEq, Eq)]
pub struct Unpaid {
    card: LastFour,
}

/// All stock is held, and the payment is authorised or none is due. In memory only.
#[derive(Debug, PartialEq, Eq)]
pub struct Payable {
    transaction: Option<String>,
}

/// Decided: the held stock is sold.
#[derive(Debug, PartialEq, Eq)]
pub struct Created {
    pub(super) payment: CreatedPayment,
    pub(super) delivery: Option<DeliveryId>,
}

/// Decided: the held stock is released, and no payment is captured.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub(super) reason: String,
    pub(super) payment: RefusedPayment,
}

/// Created, and then cancelled: the stock and the money go back.
#[derive(Debug, PartialEq, Eq)]
pub struct Cancelled {
    pub(super) payment: CancelledPayment,
    pub(super) delivery: Option<DeliveryId>,
    /// The idempotency key under which it was cancelled.
    pub(super) key: Option<IdempotencyRef>,
}

/// The payment of an order that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedPayment {
    /// Nothing was due.
    Free,
    /// The payment is authorised.
    Authorised {
        /// The gateway's id of the payment.
        transaction: String,
    },
    /// The payment is captured.
    Captured {
        /// The gateway's id of the payment.
        transaction: String,
    },
    /// The gateway finally refused to capture the payment.
    CaptureFailed {
        /// The gateway's id of the payment.
        transaction: String,
    },
}

/// The payment of an order that was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelledPayment {
    /// As it was when the order was cancelled: it is to be given back, unless nothing was due.
    Kept(CreatedPayment),
    /// It was not captured, and the gateway has voided it.
    Voided {
        /// The gateway's id of the payment.
        transaction: String,
    },
    /// It was captured, and the gateway has refunded it.
    Refunded {
        /// The gateway's id of the payment.
        transaction: String,
    },
    /// It was captured, and the gateway finally refused to refund it.
    RefundFailed {
        /// The gateway's id of the payment.
        transaction: String,
    },
}

/// The payment of an order that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedPayment {
    /// No payment was asked for.
    NotAsked,
    /// The gateway refused to authorise it.
    Declined,
    /// The gateway has voided it.
    Voided {
        /// The gateway's id of the payment, if it was authorised before.
        transaction: Option<String>,
    },
}

/// An order whose stock is held.
#[derive(Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Nothing is due.
    Free(Order<Payable>),
    /// Money is due.
    Due(Order<Unpaid>),
}

/// An order that stays pending because its lines cannot be sold as ordered.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreserved {
    /// The order.
    pub order: Order<Pending>,
    /// The reason.
    pub error: Error,
}

/// A refused order and the error for its customer.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The order.
    pub order: Order<Refused>,
    /// The error.
    pub error: Error,
}

/// A payment that is due for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<'a> {
    /// The order.
    pub order: OrderId,
    /// The amount.
    pub amount: Total,
    /// The last four characters of the card.
    pub card: &'a LastFour,
}

/// An authorised payment to be captured. Ends with [`CaptureDue::captured`] or [`CaptureDue::failed`].
#[derive(Debug)]
pub struct CaptureDue<'a> {
    facts: &'a mut Facts,
    payment: &'a mut CreatedPayment,
    transaction: String,
    card: LastFour,
}

/// The payment of a cancelled order, to be given back. Ends with [`GiveBackDue::voided`], [`GiveBackDue::refunded`] or
/// [`GiveBackDue::failed`].
#[derive(Debug)]
pub struct GiveBackDue<'a> {
    order: &'a mut Order<Cancelled>,
    transaction: String,
    card: LastFour,
}

impl<S> Deref for Order<S> {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl<S> Order<S> {
    /// Sets the version of the record about to be written.
    pub(crate) fn recorded_as(&mut self, version: u64) {
        self.facts.version = version;
    }

    /// Resumes it after a restart of its shard.
    #[must_use]
    pub fn resumed(mut self, now: Timestamp) -> Self {
        self.facts.record_step(OrderEvent::Resumed, now);
        self
    }

    fn into_state<T>(self, state: T) -> Order<T> {
        Order { facts: self.facts, state }
    }

    fn refuse_as(mut self, error: Error, payment: RefusedPayment, now: Timestamp) -> Refusal {
        if matches!(payment, RefusedPayment::Voided { .. }) {
            self.facts.record_step(OrderEvent::Voided, now);
        }
        self.facts.record_step(OrderEvent::Refused, now);
        let reason = error.to_string();
        Refusal { order: self.into_state(Refused { reason, payment }), error }
    }
}

impl Order<Pending> {
    /// Makes a pending order.
    pub fn place(new: NewOrder, now: Timestamp) -> Self {
        let mut facts = Facts::new(new);
        facts.record_step(OrderEvent::Pending, now);
        Order { facts: Box::new(facts), state: Pending }
    }

    /// Sets prices from the results of a quote, in the order of the lines.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn quote(&mut self, found: &[HoldResult]) -> Result<()> {
        self.facts.apply_quotes(found)
    }

    /// Sets prices from the results of a hold of all lines. After a repeated hold the history has one step.
    ///
    /// # Errors
    /// The order, still pending, and the reason to refuse it.
    pub fn hold(mut self, found: &[HoldResult], now: Timestamp) -> std::result::Result<Reserved, Unreserved> {
        if let Err(error) = self.quote(found) {
            return Err(Unreserved { order: self, error });
        }
        if !self.asks_payment() {
            self.facts.record_held(now);
            return Ok(Reserved::Free(self.into_state(Payable { transaction: None })));
        }
        let Some(card) = self.card.clone() else { return Err(Unreserved { order: self, error: card_missing() }) };
        self.facts.record_held(now);
        Ok(Reserved::Due(self.into_state(Unpaid { card })))
    }

    /// Sets prices from the results of a hold, for an order whose payment was authorised before a restart of its
    /// shard.
    ///
    /// # Errors
    /// The order and the reason to refuse it; the payment is to be voided.
    pub fn hold_paid(
        self,
        found: &[HoldResult],
        transaction: String,
        now: Timestamp,
    ) -> std::result::Result<Order<Payable>, Unreserved> {
        match self.hold(found, now)? {
            Reserved::Due(order) => Ok(order.authorised(transaction, now)),
            Reserved::Free(order) => {
                let error = Error::Internal("a payment is authorised for an order that costs nothing".into());
                Err(Unreserved { order: order.into_state(Pending), error })
            }
        }
    }

    /// Refuses it.
    pub fn refuse(self, error: Error, payment: RefusedPayment, now: Timestamp) -> Refusal {
        self.refuse_as(error, payment, now)
    }
}

impl Order<Unpaid> {
    /// The payment that is due.
    pub fn due(&self) -> Due<'_> {
        Due { order: self.id, amount: self.total(), card: &self.state.card }
    }

    /// Its payment is authorised.
    pub fn authorised(mut self, transaction: String, now: Timestamp) -> Order<Payable> {
        self.facts.record_step(OrderEvent::Authorised, now);
        self.into_state(Payable { transaction: Some(transaction) })
    }

    /// Refuses it.
    pub fn refuse(self, error: Error, payment: RefusedPayment, now: Timestamp) -> Refusal {
        self.refuse_as(error, payment, now)
    }
}

impl Order<Payable> {
    /// Creates it, with the delivery that was scheduled for it.
    pub fn create(mut self, delivery: Option<DeliveryId>, now: Timestamp) -> Order<Created> {
        self.facts.record_step(OrderEvent::Created, now);
        let payment = match self.state.transaction.take() {
            None => CreatedPayment::Free,
            Some(transaction) => CreatedPayment::Authorised { transaction },
        };
        self.into_state(Created { payment, delivery })
    }
}

/// A state of an order that was created: its stock is being sold and its payment captured, also when it was cancelled
/// meanwhile.
pub trait Settling {
    /// The payment that may still be captured.
    fn payment(&mut self) -> Option<&mut CreatedPayment>;
}

impl Settling for Created {
    fn payment(&mut self) -> Option<&mut CreatedPayment> {
        Some(&mut self.payment)
    }
}

impl Settling for Cancelled {
    fn payment(&mut self) -> Option<&mut CreatedPayment> {
        match &mut self.payment {
            CancelledPayment::Kept(payment) => Some(payment),
            CancelledPayment::Voided { .. }
            | CancelledPayment::Refunded { .. }
            | CancelledPayment::RefundFailed { .. } => None,
        }
    }
}

impl<S: Settling> Order<S> {
    /// All its stock is sold.
    pub fn claimed(&mut self, now: Timestamp) {
        self.facts.record_step(OrderEvent::Claimed, now);
    }

    /// The payment that is authorised and not captured, if any.
    pub fn capture_due(&mut self) -> Option<CaptureDue<'_>> {
        let payment = self.state.payment()?;
        let CreatedPayment::Authorised { transaction } = &*payment else { return None };
        // Every authorised payment has a card: `Unpaid` has one, and no record is restored without one.
        let (transaction, card) = (transaction.clone(), self.facts.card.clone()?);
        Some(CaptureDue { facts: &mut self.facts, payment, transaction, card })
    }
}

impl Order<Created> {
    /// Cancels it, under an idempotency key if there is one.
    pub fn cancel(mut self, key: Option<IdempotencyRef>, now: Timestamp) -> Order<Cancelled> {
        self.facts.record_step(OrderEvent::Cancelled, now);
        let Created { payment, delivery } = self.state;
        Order { facts: self.facts, state: Cancelled { payment: CancelledPayment::Kept(payment), delivery, key } }
    }
}

impl CaptureDue<'_> {
    /// The payment to capture.
    pub fn due(&self) -> Due<'_> {
        Due { order: self.facts.id, amount: self.facts.total(), card: &self.card }
    }

    /// The payment is captured.
    pub fn captured(self, now: Timestamp) {
        *self.payment = CreatedPayment::Captured { transaction: self.transaction };
        self.facts.record_step(OrderEvent::Captured, now);
    }

    /// The gateway finally refused to capture the payment; the order stays as it is.
    pub fn failed(self, now: Timestamp) {
        *self.payment = CreatedPayment::CaptureFailed { transaction: self.transaction };
        self.facts.record_step(OrderEvent::CaptureFailed, now);
    }
}

impl Order<Cancelled> {
    /// The idempotency key under which it was cancelled.
    pub fn cancel_key(&self) -> Option<&IdempotencyRef> {
        self.state.key.as_ref()
    }

    /// The payment that is to be given back, if any.
    pub fn give_back_due(&mut self) -> Option<GiveBackDue<'_>> {
        let CancelledPayment::Kept(payment) = &self.state.payment else { return None };
        let transaction = match payment {
            CreatedPayment::Free => return None,
            CreatedPayment::Authorised { transaction }
            | CreatedPayment::Captured { transaction }
            | CreatedPayment::CaptureFailed { transaction } => transaction.clone(),
        };
        let card = self.facts.card.clone()?;
        Some(GiveBackDue { order: self, transaction, card })
    }

    /// All its stock is back.
    pub fn returned(&mut self, now: Timestamp) {
        self.facts.record_step(OrderEvent::Returned, now);
    }
}

impl GiveBackDue<'_> {
    /// The payment to give back.
    pub fn due(&self) -> Due<'_> {
        Due { order: self.order.id, amount: self.order.total(), card: &self.card }
    }

    /// The payment is voided: it was not captured.
    pub fn voided(self, now: Timestamp) {
        self.end(|transaction| CancelledPayment::Voided { transaction }, OrderEvent::Voided, now);
    }

    /// The payment is refunded.
    pub fn refunded(self, now: Timestamp) {
        self.end(|transaction| CancelledPayment::Refunded { transaction }, OrderEvent::Refunded, now);
    }

    /// The gateway finally refused to refund the payment; the order stays cancelled.
    pub fn failed(self, now: Timestamp) {
        self.end(|transaction| CancelledPayment::RefundFailed { transaction }, OrderEvent::RefundFailed, now);
    }

    fn end(self, payment: fn(String) -> CancelledPayment, event: OrderEvent, now: Timestamp) {
        self.order.state.payment = payment(self.transaction);
        self.order.facts.record_step(event, now);
    }
}

impl Order<Refused> {
    /// All its stock is released.
    pub fn released(&mut self, now: Timestamp) {
        self.facts.record_step(OrderEvent::Released, now);
    }
}
