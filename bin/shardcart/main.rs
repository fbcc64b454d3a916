//! The command line: one binary whose subcommands are the roles a process can have.

mod access;
mod facade;
mod keys;
mod launch;
mod shard;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shardcart::error::Error;
use shardcart::process::logging::LogFormat;
use tracing::Level;

/// The exit status for options that cannot be; clap's too.
const USAGE: u8 = 2;

/// Measured with a million carts: smaller and faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A sharded, durable key-value store for shopping carts, behind an HTTP facade.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// How log lines on stderr look: human or json. What is logged is set by SHARDCART_LOG, as `info`
    /// or `shardcart=debug`.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Start N shards and a facade on this machine, restart what dies, stop all of it cleanly.
    Launch(launch::Arguments),
    /// Run the HTTP facade, which routes requests to shards.
    Facade(facade::Arguments),
    /// Run one shard.
    Shard(shard::Arguments),
    /// Make, list and revoke API keys.
    Keys(keys::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Role::Launch(arguments) => launch::run(arguments, cli.log_format),
        Role::Facade(arguments) => facade::run(arguments, cli.log_format),
        Role::Shard(arguments) => shard::run(arguments, cli.log_format),
        Role::Keys(arguments) => keys::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            match error.downcast_ref() {
                Some(Error::Invalid(_)) => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// As a log line, so that it is in error.log too; without a log as plain text. Not `eprintln`, which
/// panics when stderr is closed.
fn report(error: &anyhow::Error) {
    if tracing::enabled!(Level::ERROR) {
        tracing::error!("{error:#}");
    } else {
        let _ = writeln!(io::stderr(), "shardcart: {error:#}");
    }
}
