//! The commands that are clients of a store, over HTTP. One file a group; each turns its arguments into a request, and the
//! answer into text for people, or passes it on unchanged with `--json`.

pub mod cart;
pub mod delivery;
mod failed;
pub mod kv;
pub mod locate;
pub mod order;
mod payment;
pub mod product;
pub mod status;
mod status_view;
mod store;
mod write;

pub use failed::Failed;
pub use store::{Store, StoreOptions};
