//! The generated protobuf and gRPC types.
#![allow(missing_docs, clippy::doc_markdown)]

tonic::include_proto!("shardcart.v1");

/// The compiled description of the service, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shard.descriptors"));
