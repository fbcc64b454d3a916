//! A store that shows its own guarantee: simulated shoppers use it, its processes are killed, and the shoppers say what
//! was acknowledged and whether it is all still there, once. `launch --playground` does so for a person with a browser,
//! `shardcart prove` for a terminal and for tests.
//!
//! Modules from the top down; each imports only from those below it:
//!
//! - `run` is `launch --playground`, `prove` is `shardcart prove`. `desk` answers the facade, and `link` is the facade's way
//!   to it; `messages` are what they say.
//! - `conditions` checks the options, `directory` makes the data directory and removes it. `mode` sets how the payment
//!   gateway behaves.
//! - `crowd` lets all shoppers shop at a rate and checks everything at the end. `shopper` is one of them, `order` one of
//!   its orders.
//! - `floor` is what shoppers share. `tally` has the counts, `stock` what is known of stock, `cart` what is known of a
//!   cart, `products` what is sold.
//! - `action` is the part of the API that shoppers use, and `remote_store` does it over HTTP.

mod action;
mod cart;
mod conditions;
mod crowd;
mod desk;
mod directory;
mod floor;
mod link;
#[cfg(test)]
mod lying_store;
mod messages;
mod mode;
mod order;
mod products;
mod prove;
mod remote_store;
mod run;
mod shopper;
mod stock;
mod tally;

pub use crowd::MAX_RATE;
pub use link::Link;
pub use messages::Count;
pub use mode::GatewayMode;
pub use prove::{MAX_KILLS_PER_SECOND, Progress, Proof, ProofOptions, prove};
pub use run::{DEFAULT_RATE, Options, run};
