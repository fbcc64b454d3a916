//! Paying for an order: what a shard asks of a payment gateway. Every call names the order, which is
//! the idempotency key of all of them: a call that is repeated has the effect of one.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::card::{Card, LastFour};
use crate::domain::money::Total;
use crate::routing::OrderId;

/// A payment, as far as it may be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// What is paid for; also the payment's identity.
    pub order: OrderId,
    /// How much.
    pub amount: Total,
    /// The last four characters of the card.
    pub last_four: LastFour,
}

/// No answer in time, or one that nobody understands: what happened is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer(pub String);

/// What came of asking for money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// The amount is set aside; the gateway's id of the transaction.
    Authorised {
        /// The gateway's id.
        transaction: String,
    },
    /// The payment was refused for good, and why.
    Refused {
        /// For people.
        reason: String,
    },
}

/// What a gateway knows of an order's payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentState {
    /// Nothing: it was never asked, or has forgotten.
    Nothing,
    /// It was authorised, and maybe captured since.
    Authorised {
        /// The gateway's id.
        transaction: String,
    },
    /// It was refused.
    Refused {
        /// For people.
        reason: String,
    },
    /// It was voided.
    Voided,
}

/// What came of taking the money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture {
    /// It is taken.
    Captured,
    /// It will never be, and why.
    Refused {
        /// For people.
        reason: String,
    },
}

/// Someone who takes payments. A call ends within about its `timeout`, retries included.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Asks for the money. After a void of the order it is refused.
    ///
    /// # Errors
    /// [`NoAnswer`]: it may have been authorised or not; ask [`PaymentGateway::lookup`].
    async fn authorise(&self, payment: &Payment, card: &Card, timeout: Duration) -> Result<Authorisation, NoAnswer>;

    /// What is known of an order's payment.
    ///
    /// # Errors
    /// [`NoAnswer`].
    async fn lookup(&self, payment: &Payment, timeout: Duration) -> Result<PaymentState, NoAnswer>;

    /// Gives an authorised amount free, and has a later authorisation refused: also for an order that
    /// the gateway never heard of.
    ///
    /// # Errors
    /// [`NoAnswer`].
    async fn void(&self, payment: &Payment, timeout: Duration) -> Result<(), NoAnswer>;

    /// Takes an authorised amount.
    ///
    /// # Errors
    /// [`NoAnswer`].
    async fn capture(&self, payment: &Payment, timeout: Duration) -> Result<Capture, NoAnswer>;
}
