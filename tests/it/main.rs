//! Whole stores under test: real processes, real sockets, nothing shared between tests.

mod api_keys;
mod bad_input;
mod carts;
mod concurrency;
mod conditional;
mod connections;
mod crash;
mod disk_full;
mod down;
mod execution;
mod grpc;
mod harness;
mod idempotency;
mod identity;
mod kv;
mod launcher;
mod layering;
mod linear;
mod linearizability;
mod ntp;
mod openapi;
mod ops;
mod paths;
mod resend;
mod sales;
mod shutdown;
