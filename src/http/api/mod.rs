//! The handlers: one file for each group of endpoints, which begins with their table.

pub mod carts;
pub mod deliveries;
pub mod lists;
pub mod operations;
mod order_json;
mod order_list;
pub mod orders;
pub mod pages;
mod paging;
pub mod playground;
pub mod products;
pub mod status;
pub mod values;
