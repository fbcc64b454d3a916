//! The payment of an order: authorised while its stock is held, and looked up at the gateway after a crash or a
//! time-out. These functions return the gateway's answer; the driver changes the order's state.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::coordinator::Coordinator;
use crate::domain::card::Card;
use crate::domain::order::{Due, Facts, RefusedPayment};
use crate::error::Error;
use crate::payment::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentState, Refund};

/// The time that a payment gateway has for a call other than the authorisation, after which the call is repeated.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest pause between two calls, unless the gateway asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause that a gateway can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The time without an answer to an authorisation after which the gateway counts as silent about it. A gateway that is
/// merely slow answers sooner.
const SILENCE: Duration = Duration::from_secs(3);

/// The reason to refuse an order: its payment is not authorised and will not be.
pub struct NotAuthorised {
    /// The error for the customer.
    pub error: Error,
    /// The end of the payment.
    pub payment: RefusedPayment,
}

impl NotAuthorised {
    fn declined(reason: &str) -> Self {
        let error = Error::PaymentRefused(format!("the payment was refused: {reason}"));
        NotAuthorised { error, payment: RefusedPayment::Declined }
    }

    fn not_asked(why: &str) -> Self {
        let error = Error::Unavailable(format!("{why}; nothing was charged or applied"));
        NotAuthorised { error, payment: RefusedPayment::NotAsked }
    }

    fn voided() -> Self {
        let error =
            Error::Unavailable("the payment gateway did not answer in time; nothing was charged or applied".into());
        NotAuthorised { error, payment: RefusedPayment::Voided { transaction: None } }
    }
}

/// The gateway's form of a due payment.
pub fn of(due: Due<'_>) -> Payment {
    Payment { order: due.order, amount: due.amount, last_four: due.card.clone() }
}

/// The payment that may have been requested before a crash; `None` for an order without a card. Its amount is 0,
/// since the order has no prices yet; a lookup or a void does not send the amount.
pub fn of_interrupted(order: &Facts) -> Option<Payment> {
    Some(Payment { order: order.id, amount: order.total(), last_four: order.card.clone()? })
}

/// Logs and counts that the gateway did not answer, and returns the pause that it asked for.
fn pause_after(coordinator: &Coordinator, payment: &Payment, no_answer: &GatewayUnavailable) -> Duration {
    coordinator.count_failed_payment_call();
    tracing::warn!(order = %payment.order, why = no_answer.reason, "the payment gateway did not answer");
    granted(no_answer.retry_after)
}

/// The pause that a gateway gets that asks for one.
fn granted(asked: Duration) -> Duration {
    asked.min(MAX_RETRY_AFTER)
}

/// Authorises a payment before the deadline, and returns the gateway's id of it. What becomes of one without an answer is
/// found out afterwards, unless the gateway cannot know of it.
///
/// # Errors
/// [`NotAuthorised`].
pub async fn authorise(
    coordinator: &Coordinator,
    payment: &Payment,
    card: Card,
    deadline: Instant,
) -> Result<String, NotAuthorised> {
    let Some(mut place) = coordinator.unresolved.enter(deadline).await else {
        return Err(NotAuthorised::not_asked("the payment gateway is too slow for so many orders"));
    };
    let asked = {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut asking = pin!(coordinator.gateway.authorise(payment, &card, left));
        match timeout(SILENCE, &mut asking).await {
            Ok(asked) => asked,
            Err(_) => {
                place.mark_silent();
                asking.await
            }
        }
    };
    // Its number is not needed any more, and finding out may take long.
    drop(card);
    match asked {
        Ok(Authorisation::Authorised { transaction }) => Ok(transaction),
        Ok(Authorisation::Refused { reason }) => Err(NotAuthorised::declined(&reason)),
        Err(no_answer) => {
            let wanted = pause_after(coordinator, payment, &no_answer);
            if !no_answer.may_have_arrived {
                return Err(NotAuthorised::not_asked("the payment gateway cannot be reached"));
            }
            place.mark_silent();
            resolve(coordinator, payment, wanted).await
        }
    }
}

/// Looks up a payment that may have been requested, and returns the gateway's id of it if it is authorised. A payment
/// that the gateway does not know is voided, so that an authorisation that is still on its way is refused. The first
/// lookup comes after the pause that the gateway asked for, if it did.
///
/// # Errors
/// [`NotAuthorised`].
pub async fn resolve(coordinator: &Coordinator, payment: &Payment, wanted: Duration) -> Result<String, NotAuthorised> {
    let gateway = &coordinator.gateway;
    let mut backoff = Backoff::up_to(LONGEST_PAUSE);
    if !wanted.is_zero() {
        backoff.pause_at_least(wanted).await;
    }
    loop {
        let wanted = match gateway.lookup(payment, CALL_TIMEOUT).await {
            Ok(PaymentState::Authorised { transaction } | PaymentState::Captured { transaction }) => {
                return Ok(transaction);
            }
            Ok(PaymentState::Refused { reason }) => return Err(NotAuthorised::declined(&reason)),
            Ok(PaymentState::Voided | PaymentState::Refunded) => return Err(NotAuthorised::voided()),
            Ok(PaymentState::Nothing) => match gateway.void(payment, CALL_TIMEOUT).await {
                Ok(()) => return Err(NotAuthorised::voided()),
                Err(no_answer) => pause_after(coordinator, payment, &no_answer),
            },
            Err(no_answer) => pause_after(coordinator, payment, &no_answer),
        };
        backoff.pause_at_least(wanted).await;
    }
}

/// Voids a payment that was authorised.
pub async fn void(coordinator: &Coordinator, payment: &Payment) {
    let mut backoff = Backoff::up_to(LONGEST_PAUSE);
    while let Err(no_answer) = coordinator.gateway.void(payment, CALL_TIMEOUT).await {
        backoff.pause_at_least(pause_after(coordinator, payment, &no_answer)).await;
    }
}

/// Captures the payment of a created order.
pub async fn capture(coordinator: &Coordinator, payment: &Payment) -> Capture {
    let mut backoff = Backoff::up_to(LONGEST_PAUSE);
    loop {
        match coordinator.gateway.capture(payment, CALL_TIMEOUT).await {
            Ok(captured) => return captured,
            Err(no_answer) => backoff.pause_at_least(pause_after(coordinator, payment, &no_answer)).await,
        }
    }
}

/// The end of the payment of a cancelled order.
#[derive(Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// It was not captured, and will not be.
    Voided,
    /// It was captured, and is refunded.
    Refunded,
    /// It was captured, and the gateway will not refund it.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
}

/// Gives a payment back whose capture has ended, or was interrupted by a crash. The gateway says which: what it has set
/// aside is voided, what it has taken is refunded. A capture that is still on its way meets the void, or comes first and is
/// found by the next lookup.
pub async fn give_back(coordinator: &Coordinator, payment: &Payment) -> GivenBack {
    let gateway = &coordinator.gateway;
    let mut backoff = Backoff::up_to(LONGEST_PAUSE);
    loop {
        let no_answer = match gateway.lookup(payment, CALL_TIMEOUT).await {
            Ok(PaymentState::Refunded) => return GivenBack::Refunded,
            Ok(PaymentState::Voided | PaymentState::Refused { .. }) => return GivenBack::Voided,
            Ok(PaymentState::Captured { .. }) => match gateway.refund(payment, CALL_TIMEOUT).await {
                Ok(Refund::Refunded) => return GivenBack::Refunded,
                Ok(Refund::Refused { reason }) => return GivenBack::Refused { reason },
                Err(no_answer) => no_answer,
            },
            Ok(PaymentState::Authorised { .. } | PaymentState::Nothing) => {
                match gateway.void(payment, CALL_TIMEOUT).await {
                    Ok(()) => return GivenBack::Voided,
                    Err(no_answer) => no_answer,
                }
            }
            Err(no_answer) => no_answer,
        };
        backoff.pause_at_least(pause_after(coordinator, payment, &no_answer)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_cannot_ask_for_any_pause() {
        for (asked, pause) in [(7, 7), (301, 300), (u64::MAX, 300)] {
            assert_eq!(granted(Duration::from_secs(asked)), Duration::from_secs(pause));
        }
    }
}
