//! The rules of the shop: pure data and functions, no I/O, no clock, no async.
//! Functions that depend on the time take it as an argument.

pub mod card;
pub mod cart;
pub mod delivery;
pub mod money;
pub mod order;
pub mod product;
pub mod reservation;
pub mod stock_sums;
pub mod tag;
pub mod time;
pub mod value;
