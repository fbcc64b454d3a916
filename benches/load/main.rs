//! The load comparison: a bare warp server, shardcart with one and four shards, and a service over Redis when
//! `redis-server` is installed, measured in turn within one run by the same load generator.
//!
//! On a busy machine absolute figures mean little. The ratios to the bare server and to the service, which are measured in
//! every round, are still valid. The options: `cargo bench --bench load -- --help`.
#![allow(clippy::pedantic, clippy::unwrap_used, reason = "a test or a measurement may end at an error")]

mod bare;
mod compare;
mod generator;
#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "every benchmark uses its own part of the harness")]
mod harness;
mod options;
mod redis;
mod report;
mod role;
mod tcp_store;

use std::process::ExitCode;

use clap::Parser;

use harness::{BENCH_FLAG, Result, exit_code};
use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let outcome = if let Some(role) = bare::Role::of(&arguments) {
        role.run().map(|()| true)
    } else if let Some(role) = redis::Role::of(&arguments) {
        role.run().map(|()| true)
    } else if arguments.iter().any(|argument| argument == BENCH_FLAG) {
        compare(&Options::parse())
    } else {
        smoke()
    };
    exit_code(outcome)
}

/// Runs the comparison; false when any request failed.
fn compare(options: &Options) -> Result<bool> {
    let redis = if options.no_redis { Err("--no-redis") } else { redis::installed_version() };
    report::print_setting(options, &redis);
    let cells = compare::run(options, redis.is_ok(), report::print_cell)?;
    report::print_redis(&cells);
    report::print_targets(&cells);
    let failures: u64 = cells.iter().map(compare::Cell::failed).sum();
    if failures > 0 {
        println!("\n{failures} requests failed: the figures above are invalid.");
    }
    Ok(failures == 0)
}

/// Runs the generator against the bare server for a moment, for `cargo test --all-targets`.
fn smoke() -> Result<bool> {
    let answered = compare::try_generator()?;
    println!("load: the generator works ({answered} answers); `cargo bench --bench load` runs the comparison");
    Ok(answered > 0)
}
