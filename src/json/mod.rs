//! Strict reading and fast writing of JSON.
//!
//! [`object`] reads one object: duplicate members are refused, at any depth, and money never passes through a
//! float; [`faults`] gathers what is wrong with several members.
//! [`writer`] writes HTTP responses on the hot path. [`product`] is the JSON of a product, which request bodies
//! and catalog files share.

pub mod faults;
mod nested;
pub mod object;
pub mod product;
pub mod writer;
