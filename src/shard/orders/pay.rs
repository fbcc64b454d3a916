//! An order's payment: asked for while its stock is held, and after a crash or a time-out found out.

use std::time::Duration;

use super::Orders;
use super::holds::Pauses;
use crate::domain::card::Card;
use crate::domain::order::{Event, Order, PaymentStatus};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::payment::{Authorisation, Capture, Payment, PaymentState};

/// How long a payment gateway may take to authorise, retries included.
pub const AUTHORISE_TIMEOUT: Duration = Duration::from_secs(8);
/// How long it may take for anything else; then it is asked again.
const OTHER_TIMEOUT: Duration = Duration::from_secs(5);

fn payment_of(order: &Order) -> Option<Payment> {
    let last_four = order.payment.last_four.clone()?;
    Some(Payment { order: order.id, amount: order.total(), last_four })
}

fn no_card() -> Error {
    Error::PaymentRefused("payment: a card_number is needed".into())
}

fn refused(order: &mut Order, reason: &str) -> Error {
    order.payment.status = PaymentStatus::Refused;
    Error::PaymentRefused(format!("the payment was refused: {reason}"))
}

fn authorised(order: &mut Order, transaction: String, now: Timestamp) {
    order.payment.status = PaymentStatus::Authorised;
    order.payment.transaction = Some(transaction);
    order.note(Event::Authorised, now);
}

impl Orders {
    /// Asks for an order's money.
    ///
    /// # Errors
    /// Why there is none: then none will be taken either.
    pub async fn authorise(&self, order: &mut Order, card: &Card) -> Result<()> {
        let payment = payment_of(order).ok_or_else(no_card)?;
        match self.gateway.authorise(&payment, card, AUTHORISE_TIMEOUT).await {
            Ok(Authorisation::Authorised { transaction }) => {
                authorised(order, transaction, crate::shard::clock::now());
                Ok(())
            }
            Ok(Authorisation::Refused { reason }) => Err(refused(order, &reason)),
            Err(no_answer) => {
                tracing::warn!(order = %order.id, why = %no_answer.0, "the payment gateway did not answer");
                self.find_out(order).await
            }
        }
    }

    /// Finds out what became of a payment that may have been asked for. One that the gateway does not
    /// know is voided first, so that an authorisation that is still on its way is refused.
    ///
    /// # Errors
    /// Why there is no money: then none will be taken either.
    pub async fn find_out(&self, order: &mut Order) -> Result<()> {
        let payment = payment_of(order).ok_or_else(no_card)?;
        let mut pauses = Pauses::default();
        loop {
            match self.gateway.lookup(&payment, OTHER_TIMEOUT).await {
                Ok(PaymentState::Authorised { transaction }) => {
                    authorised(order, transaction, crate::shard::clock::now());
                    return Ok(());
                }
                Ok(PaymentState::Refused { reason }) => return Err(refused(order, &reason)),
                Ok(PaymentState::Voided) => return Err(self.voided(order)),
                Ok(PaymentState::Nothing) if self.gateway.void(&payment, OTHER_TIMEOUT).await.is_ok() => {
                    return Err(self.voided(order));
                }
                Ok(PaymentState::Nothing) => {}
                Err(no_answer) => {
                    tracing::warn!(order = %order.id, why = %no_answer.0, "the payment gateway did not answer");
                }
            }
            pauses.pause().await;
        }
    }

    fn voided(&self, order: &mut Order) -> Error {
        order.payment.status = PaymentStatus::Voided;
        order.note(Event::Voided, crate::shard::clock::now());
        Error::Unavailable("the payment gateway did not answer in time; nothing was charged or applied".into())
    }

    /// Gives up a payment that was authorised.
    pub async fn give_up(&self, order: &mut Order) {
        let Some(payment) = payment_of(order) else { return };
        let mut pauses = Pauses::default();
        while self.gateway.void(&payment, OTHER_TIMEOUT).await.is_err() {
            pauses.pause().await;
        }
        self.voided(order);
    }

    /// Takes the money of an order that stands.
    pub async fn capture(&self, order: &mut Order) {
        let Some(payment) = payment_of(order) else { return };
        let mut pauses = Pauses::default();
        let captured = loop {
            match self.gateway.capture(&payment, OTHER_TIMEOUT).await {
                Ok(captured) => break captured,
                Err(no_answer) => {
                    tracing::warn!(order = %order.id, why = %no_answer.0, "the payment gateway did not answer");
                }
            }
            pauses.pause().await;
        };
        let (status, event) = match captured {
            Capture::Captured => (PaymentStatus::Captured, Event::Captured),
            Capture::Refused { reason } => {
                self.core.captures_failed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tracing::error!(order = %order.id, reason, "the payment of an order that stands could not be taken");
                (PaymentStatus::CaptureFailed, Event::CaptureFailed)
            }
        };
        order.payment.status = status;
        order.note(event, crate::shard::clock::now());
    }
}
