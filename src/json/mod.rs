//! JSON read strictly and written fast.
//!
//! [`object`] reads one object: duplicate members are refused, and money never passes through a float.
//! [`writer`] writes answers on the hot path. [`product`] is the JSON of a product, which bodies of requests
//! and catalog files share.

pub mod object;
pub mod product;
pub mod writer;
