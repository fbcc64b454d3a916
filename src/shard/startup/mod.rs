//! The start of a shard: its identity, the initial catalog, its clock, and the recovery of its records.

mod identity;
mod import;
mod indexes;
mod open;
mod order_counts;
mod recovery;
mod steady_clock;

pub use identity::{ExpectedIdentity, Identity};
pub use indexes::build as build_indexes;
pub use open::open;
pub use order_counts::load as load_order_counts;
pub use recovery::recover;
pub use steady_clock::{keep_anchor, start_clock};
