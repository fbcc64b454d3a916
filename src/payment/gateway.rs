//! A payment, and what a gateway says about it.

use std::time::Duration;

use crate::domain::card::LastFour;
use crate::domain::money::Total;
use crate::routing::OrderId;

/// A payment, without the parts of the card that must not be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order that is paid. Its id is also the payment's.
    pub order: OrderId,
    /// The amount.
    pub amount: Total,
    /// The last four characters of the card.
    pub last_four: LastFour,
}

/// The lack of a usable answer in time: the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayUnavailable {
    /// The reason, for logs.
    pub reason: String,
    /// The pause that the gateway asks for before the next call; zero if it asks for none.
    pub retry_after: Duration,
    /// False when no attempt was connected, so that the gateway knows nothing of the request.
    pub may_have_arrived: bool,
}

impl GatewayUnavailable {
    /// The lack of an answer to a request that may have arrived.
    pub fn asked(reason: impl Into<String>) -> Self {
        GatewayUnavailable { reason: reason.into(), retry_after: Duration::ZERO, may_have_arrived: true }
    }

    /// The lack of an answer to a request that was never sent.
    pub fn not_asked(reason: impl Into<String>) -> Self {
        GatewayUnavailable { may_have_arrived: false, ..Self::asked(reason) }
    }
}

/// The result of an authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// The amount is authorised.
    Authorised {
        /// The gateway's id.
        transaction: String,
    },
    /// The payment is finally refused.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
}

/// The state of a payment at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentState {
    /// The gateway does not know the payment.
    Nothing,
    /// It is authorised.
    Authorised {
        /// The gateway's id.
        transaction: String,
    },
    /// It is captured.
    Captured {
        /// The gateway's id.
        transaction: String,
    },
    /// It was captured, and is refunded.
    Refunded,
    /// It is refused.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
    /// It is voided.
    Voided,
}

/// The result of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture {
    /// The amount is captured.
    Captured,
    /// The amount will never be captured.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
}

/// The result of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refund {
    /// The amount is refunded.
    Refunded,
    /// The amount will never be refunded.
    Refused {
        /// The gateway's reason, for people.
        reason: String,
    },
}
