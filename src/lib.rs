//! shardcart: a sharded, durable key-value store for shopping carts, behind an HTTP facade.
//!
//! Modules, from the outside in; imports run only downwards:
//!
//! - [`launcher`] starts shards and a facade as child processes and restarts what dies.
//! - [`http`] is the facade: connections, routes, JSON, problems.
//! - [`shard`] is one shard: the session's server, the single writer, the commits.
//! - [`client`] finds the shard of a key and carries commands there, batched.
//! - [`storage`] keeps a shard's records on disk.
//! - [`wire`] has the protobuf messages and their conversions; [`codec`] the records as bytes.
//! - [`access`] has the API keys: who may read and who may write.
//! - [`domain`] has the rules: carts, money, time, tags. [`key`] has identifiers and the hash.
//!
//! A request comes in at `http::listener`, is read by `http::service`, routed by `http::routes` to
//! `http::carts` or `http::kv`, sent by `client` over a session to `shard::session`, run by
//! `shard::writer`, made durable by `shard::committer`, and its reply goes the same way back.

pub mod access;
pub mod address;
pub mod catalog;
pub mod client;
pub mod codec;
pub mod domain;
pub mod error;
pub mod fail_point;
pub mod http;
pub mod key;
pub mod launcher;
pub mod logging;
pub mod members;
pub mod metrics;
pub mod payment;
pub mod record;
pub mod scheduling;
pub mod shard;
pub mod shutdown;
pub mod slots;
pub mod storage;
pub mod wire;
