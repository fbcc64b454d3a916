//! The saga of an order: its transaction over several shards.
//!
//! An order takes stock from its products' shards, money through a payment gateway, and lines from its customer's
//! cart, or none of these. One shard alone decides it:
//!
//! - The *coordinator* is the order's home: the shard of the customer's cart or, without a customer, of the product.
//!   It keeps the order as a record (the saga's log), drives it ([`driver`]) and decides it in one commit.
//! - A *participant* is the shard of a product. It holds stock for the order as a reservation
//!   (`records::reservations`). The home is a participant too, of its own products; there it needs no messages.
//!
//! | message | from, to | meaning | answer |
//! |---|---|---|---|
//! | `Hold` | coordinator, participant | hold these lines, all or none (or only quote prices) | for each line: held, short, unknown, settled |
//! | `Settle` | coordinator, participant | the order is decided: claim or release what it holds | done |
//! | `AskDecision` | participant, coordinator | is the order decided? | undecided, created, refused, or cancelled |
//! | `ReturnStock` | coordinator, participant | the order was cancelled: take its stock back | done |
//!
//! The steps, each durable before the next begins: store the order with its idempotency key ([`begin`]), hold stock
//! ([`stock`]), authorise the payment ([`payment`]), decide ([`decide`]), settle the participants, capture the payment,
//! close the record. An order that needs neither another shard nor a payment is decided in its first commit. The
//! types of an order's states (`domain::order`) hold the precondition of each step:
//!
//! | state | stock | payment | record | next state |
//! |---|---|---|---|---|
//! | `Order<Pending>` | maybe held | maybe requested | open, pending | unpaid, payable, refused |
//! | `Order<Unpaid>` | held | due | open, pending | payable, refused |
//! | `Order<Payable>` | held | authorised, or none due | never written | created |
//! | `Order<Created>` | sold | authorised, captured, failed, or none due | open, then closed | cancelled |
//! | `Order<Refused>` | released | not requested, declined, or voided | open, then closed | |
//! | `Order<Cancelled>` | goes back | goes back: voided, refunded, or finally not | open, then closed | |
//!
//! The decision is the *pivot*: one commit that creates or refuses the order, removes the sold items from the cart,
//! schedules the delivery, settles the home's own stock and stores the reply. Before it, a failure refuses the order
//! and releases everything; after it, every step is repeated until it succeeds.
//!
//! Three rules make crashes and lost messages harmless:
//!
//! 1. *Messages are idempotent.* A participant that already holds for an order, or has settled it, changes nothing.
//! 2. *Settlements are recorded.* A hold that arrives after its order's settlement is rejected, so a release that
//!    overtakes its hold wins.
//! 3. *Every reservation is polled.* A participant asks the order's home about a reservation that stays open
//!    ([`in_doubt`]). An order that the home does not know counts as refused: an order's record is durable before
//!    anything is held for it.
//!
//! A created order can be cancelled until its goods are dispatched ([`cancel`]). That is a second pivot: one commit cancels
//! the order and its scheduled deliveries and takes the home's own stock back; after it, every step is repeated until it
//! succeeds. A capture that is under way ends first, and then the gateway is asked what there is to give back. A
//! participant notes what it took back for as long as the home may ask again (`records::returns`).
//!
//! At its start a home resumes every order that is not closed ([`driver::resume_all`]). A decided order is settled and
//! closed, a cancelled one given back and closed. An undecided one may have been paid for, and its card was never stored: its payment is looked up at the
//! gateway, and the order is created if the payment is authorised and refused otherwise. A participant at its start
//! asks about all its reservations for other homes' orders.

mod answer;
mod backoff;
pub mod begin;
pub mod cancel;
mod cancellations;
mod coordinator;
pub mod decide;
pub mod driver;
pub mod in_doubt;
mod payment;
mod stock;
mod unresolved;

pub use coordinator::Coordinator;
