//! An order's history: the steps it made, each with its time.

use super::numbered::numbered;
use crate::domain::time::Timestamp;

numbered! {
    /// A step of an order. The number is its number in records.
    pub enum OrderEvent {
        /// It was written down.
        Pending = 0,
        /// All its stock is held.
        Held = 1,
        /// Its money is set aside.
        Authorised = 2,
        /// It was created.
        Created = 3,
        /// It was refused.
        Refused = 4,
        /// Its shard was started again and goes on with it.
        Resumed = 5,
        /// All held stock is sold.
        Claimed = 6,
        /// All held stock is given back.
        Released = 7,
        /// The money is taken.
        Captured = 8,
        /// The gateway refuses to take the money for good.
        CaptureFailed = 9,
        /// The payment was given up.
        Voided = 10,
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
    /// Its name in answers.
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
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_read_back_and_every_name_is_another_one() {
        let events: Vec<_> = (0..=u8::MAX).filter_map(|number| OrderEvent::try_from(number).ok()).collect();
        assert_eq!(events.iter().map(|event| *event as u8).collect::<Vec<_>>(), (0..=10).collect::<Vec<_>>());
        let names: HashSet<_> = events.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), events.len());
    }
}
