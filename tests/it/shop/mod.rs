//! The shop: products, orders, payment, deliveries.

mod catalog;
mod checkout;
mod deliveries;
mod execution;
mod lists;
mod orders;
mod oversell;
mod payment;
mod products;
mod retention;
mod sales;
