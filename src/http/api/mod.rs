//! The handlers, one file a group, each with its table of endpoints.

pub mod carts;
pub mod deliveries;
pub mod lists;
pub mod operations;
pub mod orders;
pub mod products;
pub mod values;
