//! The gRPC server of a shard, and its sessions: streams of commands and replies.

mod asked;
mod connection;
mod deferred;
mod server;
mod session;
#[cfg(test)]
mod session_tests;
mod status;

pub use connection::MAX_CONNECTIONS;
pub use server::{Listener, serve};
