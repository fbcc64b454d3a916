//! An order's history: its steps, each with its time.

use super::numbered::numbered;
use crate::domain::time::Timestamp;

numbered! {
    /// A step of an order. Records hold the number.
    pub enum OrderEvent {
        /// It was stored, undecided.
        Pending = 0,
        /// All its stock is held.
        Held = 1,
        /// Its payment is authorised.
        Authorised = 2,
        /// It was created.
        Created = 3,
        /// It was refused.
        Refused = 4,
        /// Its shard was restarted and resumes it.
        Resumed = 5,
        /// All held stock is sold.
        Claimed = 6,
        /// All held stock is released.
        Released = 7,
        /// Its payment is captured.
        Captured = 8,
        /// The gateway finally refused to capture the payment.
        CaptureFailed = 9,
        /// The payment is voided.
        Voided = 10,
        /// It was cancelled.
        Cancelled = 11,
        /// All its stock is back.
        Returned = 12,
        /// Its payment is refunded.
        Refunded = 13,
        /// The gateway finally refused to refund the payment.
        RefundFailed = 14,
    }
}

/// A step of an order and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderStep {
    /// The step.
    pub event: OrderEvent,
    /// Its time.
    pub at: Timestamp,
}

impl OrderEvent {
    /// The name in HTTP responses.
    pub fn name(self) -> &'static str {
        match self {
            OrderEvent::Pending => "pending",
            OrderEvent::Held => "held",
            OrderEvent::Authorised => "authorised",
            OrderEvent::Created => "created",
            OrderEvent::Refused => "refused",
            OrderEvent::Resumed => "resumed",
            OrderEvent::Claimed => "claimed",
            OrderEvent::Released => "released",
            OrderEvent::Captured => "captured",
            OrderEvent::CaptureFailed => "capture_failed",
            OrderEvent::Voided => "voided",
            OrderEvent::Cancelled => "cancelled",
            OrderEvent::Returned => "returned",
            OrderEvent::Refunded => "refunded",
            OrderEvent::RefundFailed => "refund_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_read_back_and_names_are_distinct() {
        let events: Vec<_> = (0..=u8::MAX).filter_map(|number| OrderEvent::try_from(number).ok()).collect();
        assert_eq!(events.iter().map(|event| *event as u8).collect::<Vec<_>>(), (0..=14).collect::<Vec<_>>());
        let names: HashSet<_> = events.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), events.len());
    }
}
