//! Finds the shard of a key and carries commands there: locate, batch, deadline, resend.

mod connect;
mod queue;
mod router;
mod session;

pub use router::Client;
pub use session::KnownStore;
