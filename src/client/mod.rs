//! Sends each command to the shard that owns its key, in batches, with a deadline, and again where that is safe.

mod connect;
mod queue;
mod router;
mod session;
mod shared;

pub use router::Client;
pub use shared::Shared;
