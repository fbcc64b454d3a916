//! The transaction of an order over several shards.
//!
//! An order takes stock from its products' shards, money from a payment gateway, and lines from its customer's cart,
//! or nothing of all that. One shard alone decides it:
//!
//! - The *coordinator* is the order's home: the shard of the customer's cart, or without a customer of the product.
//!   It keeps the order as a record (the saga's log), drives it ([`driver`]) and decides it in one commit.
//! - A *participant* is the shard of a product. It holds stock for the order as a reservation
//!   (`records::reservations`). The home is a participant too, of its own products; there it needs no messages.
//!
//! | message | from, to | says | answer |
//! |---|---|---|---|
//! | `Hold` | coordinator, participant | hold these lines, all or none (or only quote prices) | of each line: held, short, unknown, settled |
//! | `Settle` | coordinator, participant | the order is decided: claim or release what it holds | done |
//! | `AskDecision` | participant, coordinator | is the order decided? | undecided, created, or refused |
//!
//! Steps, each durable before the next begins: write the order down with its idempotency key ([`begin`]), hold stock
//! ([`stock`]), set the money aside ([`payment`]), decide ([`decide`]), settle the participants, take the money,
//! close the record. An order that needs neither another shard nor money is decided in its first commit. What each
//! step needs is in the types of its states (`domain::order`):
//!
//! | state | stock | money | record | ends as |
//! |---|---|---|---|---|
//! | `Order<Pending>` | maybe held | maybe asked for | open, pending | unpaid, payable, refused |
//! | `Order<Unpaid>` | held | due | open, pending | payable, refused |
//! | `Order<Payable>` | held | set aside, or none due | never written | created |
//! | `Order<Created>` | sold | set aside, taken, failed, or none due | open, then closed | |
//! | `Order<Refused>` | given back | not asked for, declined, or voided | open, then closed | |
//!
//! The decision is the *pivot*: one commit that makes the order created or refused, takes what was sold out of the
//! cart, schedules the delivery, settles the home's own stock and keeps the reply. Until then a failure refuses the
//! order and gives everything back; from then on every step is repeated until it succeeds.
//!
//! Three rules make crashes and lost messages harmless:
//!
//! 1. *Repeating is free.* A participant that already holds for an order, or has settled it, changes nothing.
//! 2. *A settlement is remembered.* A hold that arrives after its order's settlement is rejected, so a release that
//!    overtakes its hold wins.
//! 3. *Every reservation is polled.* A participant asks the home of a reservation that stays open ([`in_doubt`]). An
//!    order that the home does not know is refused: its record was durable before anything was held for it.
//!
//! At its start a home goes on with every order that is not closed ([`driver::resume_all`]). One that is decided is
//! settled and closed. One that is not may have been paid for, and the card is gone on purpose: its payment is looked
//! up at the gateway, and it is created if the money is set aside and refused otherwise. A participant at its start
//! asks about all its reservations of other homes' orders.

mod backoff;
pub mod begin;
mod coordinator;
mod decide;
pub mod driver;
pub mod in_doubt;
mod payment;
mod stock;

pub use coordinator::Coordinator;
