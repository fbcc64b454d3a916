//! Sends each command to the shard that owns its key, in batches, with a deadline, and again where that is safe.

mod connect;
mod pauses;
mod queue;
mod router;
mod session;
mod shared;
mod status_probe;

pub use router::Client;
pub use shared::Shared;
pub use status_probe::StatusProbe;
