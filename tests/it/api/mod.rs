//! The HTTP and gRPC interfaces, one request at a time: carts, values, conditions, keys, errors, OpenAPI.

mod access_log;
mod api_keys;
mod bad_input;
mod browsers;
mod carts;
mod conditional;
mod connections;
mod fields;
mod grpc;
mod idempotency;
mod openapi;
mod operations;
mod pages;
mod paths;
mod status;
mod targets;
mod values;
