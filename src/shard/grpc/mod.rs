//! The gRPC server of a shard, and its sessions: streams of commands and replies.

mod connection;
mod server;
mod session;
mod status;

pub use server::{Listener, serve};
