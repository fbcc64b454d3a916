//! The gRPC server of a shard, and its sessions: streams of commands and replies.

mod asked;
mod connection;
mod deferred;
mod server;
mod session;
mod status;

pub use connection::MAX_CONNECTIONS;
pub use server::{Listener, serve};
