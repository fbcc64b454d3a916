//! The simulated payment gateway: a process of its own, for trials and tests. It takes no money. It speaks the protocol
//! that [`HttpGateway`](crate::payment::HttpGateway) asks for, so it is also the example of a gateway.
//!
//! Modules from the top down; each imports only from those below it:
//!
//! - `run` starts it, `server` is its HTTP.
//! - `ledger` keeps the payments on disk.
//! - `rules` decides what becomes of a payment; `cards` has the test cards; `control` is what a tester tells it.

mod cards;
mod control;
mod ledger;
mod rules;
mod run;
mod server;

pub use run::{Options, run};
