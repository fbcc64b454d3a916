//! Whole stores under test: real processes, real sockets, nothing shared between tests.

mod api;
mod docs;
mod examples;
mod faults;
mod golden;
mod harness;
mod layering;
mod processes;
mod shop;
