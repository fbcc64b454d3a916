//! The handlers: one file for each group of endpoints, which begins with their table.

pub mod carts;
pub mod deliveries;
pub mod lists;
pub mod operations;
pub mod orders;
pub mod products;
pub mod values;
