//! Tests of whole stores, with real processes and sockets, and with nothing shared between tests.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

mod api;
mod browser;
mod command_line;
mod docs;
mod examples;
mod faults;
mod golden;
mod golden_directory;
mod harness;
mod layering;
mod processes;
mod remote;
mod shop;
