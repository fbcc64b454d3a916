//! The command line: one binary whose subcommands are the roles a process can have.

mod facade;
mod launch;
mod shard;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shardcart::logging::LogFormat;

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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Role::Launch(arguments) => launch::run(arguments, cli.log_format),
        Role::Facade(arguments) => facade::run(arguments, cli.log_format),
        Role::Shard(arguments) => shard::run(arguments, cli.log_format),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shardcart: {error:#}");
            ExitCode::FAILURE
        }
    }
}
