//! An order: its facts, its states and the transitions between them, and its form in records.
//!
//! Each state is a type of its own, so that a transition whose precondition is missing does not compile:
//!
//! ```text
//! Order<Pending> ── hold ──► Order<Unpaid> ── authorised ──► Order<Payable> ── create ──► Order<Created>
//!       │     └─ hold, nothing due; hold_paid, after a crash ──────┘
//!       └──────── refuse, also from Unpaid ────────────────────────────────────────────► Order<Refused>
//!
//! Order<Created> ── cancel ──► Order<Cancelled>
//! ```
//!
//! A [`Payable`] order has all its stock held and its payment authorised, so the only transition left is to
//! create it. It is in memory only: after a crash the order is pending again. The states that can be on disk
//! are those of [`OrderRecord`].

mod counts;
mod facts;
mod history;
mod line;
mod numbered;
mod record;
mod states;
#[cfg(test)]
mod tests;

pub use counts::OrderCounts;
pub use facts::{Facts, IdempotencyRef, NewOrder, Origin, card_missing};
pub use history::{OrderEvent, OrderStep};
pub use line::{AgreedPrice, MAX_ORDER_LINES, OrderLine, OrderedItem, SingleItem, add_together};
pub use record::{Decided, OrderRecord, OrderStatus, PaymentStatus, Recorded, RecordedState, Status};
pub use states::{
    Cancelled, CancelledPayment, CaptureDue, Created, CreatedPayment, Due, GiveBackDue, Order, Payable, Pending,
    Refusal, Refused, RefusedPayment, Reserved, Settling, Unpaid, Unreserved,
};
