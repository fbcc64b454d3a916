//! The generated protobuf and gRPC types.
#![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated code")]

tonic::include_proto!("shardcart.v1");

/// The compiled description of the service, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shard.descriptors"));
