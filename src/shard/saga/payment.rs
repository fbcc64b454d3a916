//! The payment of an order: authorised while its stock is held, and looked up at the gateway after a crash or a
//! time-out.

use std::time::Duration;

use super::backoff::Backoff;
use super::coordinator::Coordinator;
use crate::domain::card::Card;
use crate::domain::order::{Event, Order, PaymentStatus};
use crate::error::{Error, Result};
use crate::payment::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentState};
use crate::shard::clock;

/// The time that a payment gateway has to authorise, retries included.
pub const AUTHORISE_TIMEOUT: Duration = Duration::from_secs(8);
/// The time that it has for anything else; then it is asked again.
const OTHER_TIMEOUT: Duration = Duration::from_secs(5);

fn payment_of(order: &Order) -> Option<Payment> {
    let last_four = order.payment.last_four.clone()?;
    Some(Payment { order: order.id, amount: order.total(), last_four })
}

/// The error for an order that costs something and came without a card.
pub fn no_card() -> Error {
    Error::PaymentRefused("payment: a card_number is needed".into())
}

fn refused(order: &mut Order, reason: &str) -> Error {
    order.payment.status = PaymentStatus::Refused;
    Error::PaymentRefused(format!("the payment was refused: {reason}"))
}

fn authorised(order: &mut Order, transaction: String) {
    order.payment.status = PaymentStatus::Authorised;
    order.payment.transaction = Some(transaction);
    order.note(Event::Authorised, clock::now());
}

fn voided(order: &mut Order) -> Error {
    order.payment.status = PaymentStatus::Voided;
    order.note(Event::Voided, clock::now());
    Error::Unavailable("the payment gateway did not answer in time; nothing was charged or applied".into())
}

fn log_no_answer(order: &Order, no_answer: &GatewayUnavailable) {
    tracing::warn!(order = %order.id, why = %no_answer.0, "the payment gateway did not answer");
}

/// Asks for an order's money to be set aside.
///
/// # Errors
/// The reason why it is not; then none will be taken either.
pub async fn authorise(coordinator: &Coordinator, order: &mut Order, card: &Card) -> Result<()> {
    let payment = payment_of(order).ok_or_else(no_card)?;
    match coordinator.gateway.authorise(&payment, card, AUTHORISE_TIMEOUT).await {
        Ok(Authorisation::Authorised { transaction }) => {
            authorised(order, transaction);
            Ok(())
        }
        Ok(Authorisation::Refused { reason }) => Err(refused(order, &reason)),
        Err(no_answer) => {
            log_no_answer(order, &no_answer);
            resolve(coordinator, order).await
        }
    }
}

/// Looks up a payment that may have been asked for. One that the gateway does not know is voided first, so that an
/// authorisation that is still on its way is refused.
///
/// # Errors
/// The reason why no money is set aside; then none will be taken either.
pub async fn resolve(coordinator: &Coordinator, order: &mut Order) -> Result<()> {
    let payment = payment_of(order).ok_or_else(no_card)?;
    let gateway = &coordinator.gateway;
    let mut backoff = Backoff::default();
    loop {
        match gateway.lookup(&payment, OTHER_TIMEOUT).await {
            Ok(PaymentState::Authorised { transaction }) => {
                authorised(order, transaction);
                return Ok(());
            }
            Ok(PaymentState::Refused { reason }) => return Err(refused(order, &reason)),
            Ok(PaymentState::Voided) => return Err(voided(order)),
            Ok(PaymentState::Nothing) if gateway.void(&payment, OTHER_TIMEOUT).await.is_ok() => {
                return Err(voided(order));
            }
            Ok(PaymentState::Nothing) => {}
            Err(no_answer) => log_no_answer(order, &no_answer),
        }
        backoff.pause().await;
    }
}

/// Voids a payment that was authorised.
pub async fn void(coordinator: &Coordinator, order: &mut Order) {
    let Some(payment) = payment_of(order) else { return };
    let mut backoff = Backoff::default();
    while coordinator.gateway.void(&payment, OTHER_TIMEOUT).await.is_err() {
        backoff.pause().await;
    }
    voided(order);
}

/// Captures the money of a created order.
pub async fn capture(coordinator: &Coordinator, order: &mut Order) {
    let Some(payment) = payment_of(order) else { return };
    let mut backoff = Backoff::default();
    let captured = loop {
        match coordinator.gateway.capture(&payment, OTHER_TIMEOUT).await {
            Ok(captured) => break captured,
            Err(no_answer) => log_no_answer(order, &no_answer),
        }
        backoff.pause().await;
    };
    let (status, event) = match captured {
        Capture::Captured => (PaymentStatus::Captured, Event::Captured),
        Capture::Refused { reason } => {
            coordinator.count_failed_capture();
            tracing::error!(order = %order.id, reason, "capture refused by the payment gateway; the order stays created");
            (PaymentStatus::CaptureFailed, Event::CaptureFailed)
        }
    };
    order.payment.status = status;
    order.note(event, clock::now());
}
