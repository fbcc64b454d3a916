//! The payment gateway as a trait. Every call names the order, which is the idempotency key of all of
//! them: a repeated call has the effect of one.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::card::{Card, LastFour};
use crate::domain::money::Total;
use crate::routing::OrderId;

/// A payment, as far as it may be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order that is paid; also the id of the payment.
    pub order: OrderId,
    /// The amount.
    pub amount: Total,
    /// The last four characters of the card.
    pub last_four: LastFour,
}

/// No usable answer in time: the outcome is unknown. The text says why, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayUnavailable(pub String);

/// The result of an authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// The amount is set aside; the gateway's id of the transaction.
    Authorised {
        /// The gateway's id.
        transaction: String,
    },
    /// The payment was refused for good, and why.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
}

/// The state of a payment, as the gateway knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentState {
    /// Unknown to the gateway.
    Nothing,
    /// It was authorised, and maybe captured since.
    Authorised {
        /// The gateway's id.
        transaction: String,
    },
    /// Refused.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
    /// Voided.
    Voided,
}

/// The result of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture {
    /// The money is taken.
    Captured,
    /// The money will never be taken.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
}

/// A payment gateway. A call ends within about its `timeout`, retries included.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Asks the gateway to set the amount aside. Refused after a void of the order.
    ///
    /// # Errors
    /// [`GatewayUnavailable`]: the payment may be authorised or not; call [`PaymentGateway::lookup`].
    async fn authorise(
        &self,
        payment: &Payment,
        card: &Card,
        timeout: Duration,
    ) -> Result<Authorisation, GatewayUnavailable>;

    /// Looks up the state of an order's payment.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    async fn lookup(&self, payment: &Payment, timeout: Duration) -> Result<PaymentState, GatewayUnavailable>;

    /// Gives an authorised amount free, and has a later authorisation refused: also for an order that
    /// the gateway never heard of.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    async fn void(&self, payment: &Payment, timeout: Duration) -> Result<(), GatewayUnavailable>;

    /// Takes an authorised amount.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    async fn capture(&self, payment: &Payment, timeout: Duration) -> Result<Capture, GatewayUnavailable>;
}
