//! The facade: turns HTTP/1.1 requests into commands to shards. It stores nothing, so a store may have any number of
//! facades.
//!
//! A request passes `listener`, `service` (body and limits), `auth`, `endpoint` (path and method) and its handler in
//! `api`, which reads it with `request` and answers with `response` or `problem`.

mod access_log;
mod api;
mod auth;
mod body;
mod browsers;
mod card_reads;
mod endpoint;
mod error_body;
mod execution;
mod facade;
mod framing;
mod head;
mod listener;
mod log_limit;
mod media_type;
mod metrics;
mod openapi;
mod page;
mod problem;
mod problem_type;
mod raw_targets;
mod request;
mod request_id;
mod response;
mod routes;
mod service;
mod shop;
mod status;

pub use access_log::{AccessLogOptions, DEFAULT_ACCESS_LOG_BYTES};
pub use browsers::Origin;
pub use execution::NtpServer;
pub use facade::{
    DEFAULT_BODY_TIMEOUT, DEFAULT_HEADER_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_WRITE_TIMEOUT, Options, run,
};
pub use routes::templates;
