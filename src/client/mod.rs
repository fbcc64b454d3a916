//! Finds the shard of a key and carries commands there: locate, batch, deadline, resend.

mod connect;
mod queue;
mod router;
mod session;
mod shared;

pub use router::Client;
pub use shared::Shared;
