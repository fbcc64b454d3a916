//! shardcart: a sharded, durable, distributed key-value store for shopping carts, behind an HTTP facade.
//!
//! Folders from the top down; a folder imports only from the rows below it:
//!
//! doctor > gateway, http, shard > client, load_run, playground > launcher > protocol, catalog > json, storage, payment, remote > domain, access > routing, process > error
//!
//! - [`http`] is the facade: connections, routes, JSON, errors. [`shard`] is one shard: sessions, the single writer,
//!   commits, orders. [`gateway`] is the simulated payment gateway.
//! - [`client`] sends each command to the shard that owns its key. [`launcher`] starts gateway, shards and facade as child
//!   processes and restarts those that die. [`playground`] has simulated shoppers that check a store whose processes are
//!   killed.
//! - [`protocol`] has the commands and replies between facade and shard. [`catalog`] reads catalog files.
//! - [`json`] reads objects strictly and writes responses fast. [`storage`] keeps records as bytes.
//!   [`payment`] has the protocol of payment gateways, and its client. [`remote`] is an HTTP client of a store.
//! - [`domain`] has the rules of carts, products, orders and deliveries. [`access`] has API keys.
//! - [`routing`] has ids, their hash and the slot table. [`process`] has logs, signals and histograms.
//! - [`error`] is the one error type.

pub mod access;
pub mod catalog;
pub mod client;
pub mod doctor;
pub mod domain;
pub mod error;
pub mod gateway;
pub mod http;
pub mod json;
pub mod launcher;
pub mod load_run;
pub mod payment;
pub mod playground;
pub mod process;
pub mod protocol;
pub mod remote;
pub mod routing;
pub mod shard;
pub mod storage;
