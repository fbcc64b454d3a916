//! The shop: products, orders, payment, deliveries.

mod cancel;
mod catalog;
mod checkout;
mod deliveries;
mod execution;
mod lists;
mod order_list;
mod orders;
mod oversell;
mod payment;
mod products;
mod retention;
mod sales;
