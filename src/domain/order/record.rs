//! The states of an order that can be on disk, and the flat form that records and replies share.

use std::ops::Deref;

use super::facts::{Facts, IdempotencyRef};
use super::numbered::numbered;
use super::states::{
    Cancelled, CancelledPayment, Created, CreatedPayment, Order, Pending, Refused, RefusedPayment, Unpaid,
};
use crate::domain::reservation::Decision;
use crate::routing::DeliveryId;

/// An order as its record has it.
#[derive(Debug, PartialEq, Eq)]
pub enum OrderRecord {
    /// Not decided.
    Pending(Order<Pending>),
    /// Created.
    Created(Order<Created>),
    /// Refused.
    Refused(Order<Refused>),
    /// Cancelled.
    Cancelled(Order<Cancelled>),
}

/// The decision on an order, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status<'a> {
    /// Not decided.
    Pending,
    /// Created.
    Created,
    /// Refused: stock and cart are as before, and no money is taken.
    Refused {
        /// The reason, for people.
        reason: &'a str,
    },
    /// Created and then cancelled: its stock and its money go back.
    Cancelled {
        /// The idempotency key under which it was cancelled.
        key: Option<&'a IdempotencyRef>,
    },
}

numbered! {
    /// The decision on an order without its reason. Records hold the number.
    pub enum OrderStatus {
        /// Not decided.
        Pending = 0,
        /// Created.
        Created = 1,
        /// Refused.
        Refused = 2,
        /// Cancelled.
        Cancelled = 3,
    }
}

numbered! {
    /// The state of an order's payment. Records hold the number.
    pub enum PaymentStatus {
        /// No payment was asked for.
        None = 0,
        /// A card was given; the order is undecided.
        Pending = 1,
        /// The gateway has authorised it.
        Authorised = 2,
        /// The gateway has captured it.
        Captured = 3,
        /// The gateway finally refused to capture it.
        CaptureFailed = 4,
        /// The gateway refused to authorise it.
        Refused = 5,
        /// The gateway has voided it.
        Voided = 6,
        /// The gateway has refunded it.
        Refunded = 7,
        /// The gateway finally refused to refund it.
        RefundFailed = 8,
    }
}

/// A state as its parts. Not every combination is a state: see [`OrderRecord::restore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedState<'a> {
    /// The decision.
    pub status: Status<'a>,
    /// The state of the payment.
    pub payment: PaymentStatus,
    /// The gateway's id of the payment.
    pub transaction: Option<&'a str>,
    /// The delivery that was scheduled with the order.
    pub delivery: Option<DeliveryId>,
}

impl Status<'_> {
    /// The decision without its reason.
    pub fn kind(self) -> OrderStatus {
        match self {
            Status::Pending => OrderStatus::Pending,
            Status::Created => OrderStatus::Created,
            Status::Refused { .. } => OrderStatus::Refused,
            Status::Cancelled { .. } => OrderStatus::Cancelled,
        }
    }

    /// The name in HTTP responses.
    pub fn name(self) -> &'static str {
        self.kind().name()
    }
}

impl OrderStatus {
    /// The name in HTTP requests and responses.
    pub fn name(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Created => "created",
            OrderStatus::Refused => "refused",
            OrderStatus::Cancelled => "cancelled",
        }
    }
}

impl PaymentStatus {
    /// The name in HTTP responses.
    pub fn name(self) -> &'static str {
        match self {
            PaymentStatus::None => "none",
            PaymentStatus::Pending => "pending",
            PaymentStatus::Authorised => "authorised",
            PaymentStatus::Captured => "captured",
            PaymentStatus::CaptureFailed => "capture_failed",
            PaymentStatus::Refused => "refused",
            PaymentStatus::Voided => "voided",
            PaymentStatus::Refunded => "refunded",
            PaymentStatus::RefundFailed => "refund_failed",
        }
    }
}

/// An order that can be on disk. A [`super::Payable`] order cannot: its record would be neither pending nor
/// decided, and its stock and payment would stay held.
pub trait Recorded: Deref<Target = Facts> + sealed::Sealed {
    /// Its state as parts.
    fn recorded_state(&self) -> RecordedState<'_>;
}

/// A decided order: only its record can be closed.
pub trait Decided: Recorded {}

impl Decided for Order<Created> {}
impl Decided for Order<Refused> {}
impl Decided for Order<Cancelled> {}

mod sealed {
    use super::{Cancelled, Created, Order, OrderRecord, Pending, Refused, Unpaid};

    /// Keeps [`super::Recorded`] to the orders of this file.
    pub trait Sealed {}

    impl Sealed for Order<Pending> {}
    impl Sealed for Order<Unpaid> {}
    impl Sealed for Order<Created> {}
    impl Sealed for Order<Refused> {}
    impl Sealed for Order<Cancelled> {}
    impl Sealed for OrderRecord {}
}

fn undecided(facts: &Facts) -> RecordedState<'_> {
    let payment = if facts.card.is_some() { PaymentStatus::Pending } else { PaymentStatus::None };
    RecordedState { status: Status::Pending, payment, transaction: None, delivery: None }
}

impl Recorded for Order<Pending> {
    fn recorded_state(&self) -> RecordedState<'_> {
        undecided(self)
    }
}

impl Recorded for Order<Unpaid> {
    fn recorded_state(&self) -> RecordedState<'_> {
        undecided(self)
    }
}

impl Recorded for Order<Created> {
    fn recorded_state(&self) -> RecordedState<'_> {
        let (payment, transaction) = self.state.payment.recorded();
        RecordedState { status: Status::Created, payment, transaction, delivery: self.state.delivery }
    }
}

impl CreatedPayment {
    fn recorded(&self) -> (PaymentStatus, Option<&str>) {
        match self {
            CreatedPayment::Free => (PaymentStatus::None, None),
            CreatedPayment::Authorised { transaction } => (PaymentStatus::Authorised, Some(transaction)),
            CreatedPayment::Captured { transaction } => (PaymentStatus::Captured, Some(transaction)),
            CreatedPayment::CaptureFailed { transaction } => (PaymentStatus::CaptureFailed, Some(transaction)),
        }
    }
}

impl Recorded for Order<Cancelled> {
    fn recorded_state(&self) -> RecordedState<'_> {
        let (payment, transaction) = match &self.state.payment {
            CancelledPayment::Kept(payment) => payment.recorded(),
            CancelledPayment::Voided { transaction } => (PaymentStatus::Voided, Some(transaction.as_str())),
            CancelledPayment::Refunded { transaction } => (PaymentStatus::Refunded, Some(transaction.as_str())),
            CancelledPayment::RefundFailed { transaction } => (PaymentStatus::RefundFailed, Some(transaction.as_str())),
        };
        let status = Status::Cancelled { key: self.state.key.as_ref() };
        RecordedState { status, payment, transaction, delivery: self.state.delivery }
    }
}

impl Recorded for Order<Refused> {
    fn recorded_state(&self) -> RecordedState<'_> {
        let (payment, transaction) = match &self.state.payment {
            RefusedPayment::NotAsked => (PaymentStatus::None, None),
            RefusedPayment::Declined => (PaymentStatus::Refused, None),
            RefusedPayment::Voided { transaction } => (PaymentStatus::Voided, transaction.as_deref()),
        };
        let status = Status::Refused { reason: &self.state.reason };
        RecordedState { status, payment, transaction, delivery: None }
    }
}

impl Recorded for OrderRecord {
    fn recorded_state(&self) -> RecordedState<'_> {
        match self {
            OrderRecord::Pending(order) => order.recorded_state(),
            OrderRecord::Created(order) => order.recorded_state(),
            OrderRecord::Refused(order) => order.recorded_state(),
            OrderRecord::Cancelled(order) => order.recorded_state(),
        }
    }
}

impl Deref for OrderRecord {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        match self {
            OrderRecord::Pending(order) => order,
            OrderRecord::Created(order) => order,
            OrderRecord::Refused(order) => order,
            OrderRecord::Cancelled(order) => order,
        }
    }
}

impl OrderRecord {
    /// Restores an order from the parts of its record. Returns `None` unless they are one of these states:
    ///
    /// | status | payment | transaction | delivery | card |
    /// |---|---|---|---|---|
    /// | pending | none | no | no | no |
    /// | pending | pending | no | no | yes |
    /// | created | none | no | maybe | maybe |
    /// | created | authorised, captured, capture failed | yes | maybe | yes |
    /// | refused | none | no | no | maybe |
    /// | refused | refused | no | no | yes |
    /// | refused | voided | maybe | no | yes |
    /// | cancelled | none | no | maybe | maybe |
    /// | cancelled | authorised, captured, capture failed, voided, refunded, refund failed | yes | maybe | yes |
    pub fn restore(facts: Facts, recorded: RecordedState<'_>) -> Option<OrderRecord> {
        let RecordedState { status, payment, transaction, delivery } = recorded;
        let has_card = facts.card.is_some();
        let facts = Box::new(facts);
        let transaction = transaction.map(str::to_owned);
        match status {
            Status::Pending => {
                let is_state = match payment {
                    PaymentStatus::None => !has_card,
                    PaymentStatus::Pending => has_card,
                    _ => false,
                };
                (is_state && transaction.is_none() && delivery.is_none())
                    .then_some(OrderRecord::Pending(Order { facts, state: Pending }))
            }
            Status::Created => {
                let payment = created_payment(payment, transaction, has_card)?;
                Some(OrderRecord::Created(Order { facts, state: Created { payment, delivery } }))
            }
            Status::Refused { reason } => {
                let payment = refused_payment(payment, transaction, has_card)?;
                let state = Refused { reason: reason.to_owned(), payment };
                delivery.is_none().then_some(OrderRecord::Refused(Order { facts, state }))
            }
            Status::Cancelled { key } => {
                let payment = cancelled_payment(payment, transaction, has_card)?;
                let state = Cancelled { payment, delivery, key: key.cloned() };
                Some(OrderRecord::Cancelled(Order { facts, state }))
            }
        }
    }

    /// The decision, for the shards that hold its stock. A cancelled order counts as not closed.
    pub fn decision(&self) -> Decision {
        match self {
            OrderRecord::Pending(_) => Decision::Undecided,
            OrderRecord::Created(_) => Decision::Created,
            OrderRecord::Refused(_) => Decision::Refused,
            OrderRecord::Cancelled(_) => Decision::Cancelled,
        }
    }
}

fn created_payment(status: PaymentStatus, transaction: Option<String>, has_card: bool) -> Option<CreatedPayment> {
    match (status, transaction) {
        (PaymentStatus::None, None) => Some(CreatedPayment::Free),
        (PaymentStatus::Authorised, Some(transaction)) if has_card => Some(CreatedPayment::Authorised { transaction }),
        (PaymentStatus::Captured, Some(transaction)) if has_card => Some(CreatedPayment::Captured { transaction }),
        (PaymentStatus::CaptureFailed, Some(transaction)) if has_card => {
            Some(CreatedPayment::CaptureFailed { transaction })
        }
        _ => None,
    }
}

fn cancelled_payment(status: PaymentStatus, transaction: Option<String>, has_card: bool) -> Option<CancelledPayment> {
    match (status, transaction) {
        (PaymentStatus::Voided, Some(transaction)) if has_card => Some(CancelledPayment::Voided { transaction }),
        (PaymentStatus::Refunded, Some(transaction)) if has_card => Some(CancelledPayment::Refunded { transaction }),
        (PaymentStatus::RefundFailed, Some(transaction)) if has_card => {
            Some(CancelledPayment::RefundFailed { transaction })
        }
        (status, transaction) => created_payment(status, transaction, has_card).map(CancelledPayment::Kept),
    }
}

fn refused_payment(status: PaymentStatus, transaction: Option<String>, has_card: bool) -> Option<RefusedPayment> {
    match (status, transaction) {
        (PaymentStatus::None, None) => Some(RefusedPayment::NotAsked),
        (PaymentStatus::Refused, None) if has_card => Some(RefusedPayment::Declined),
        (PaymentStatus::Voided, transaction) if has_card => Some(RefusedPayment::Voided { transaction }),
        _ => None,
    }
}
