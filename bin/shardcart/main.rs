//! The command line: one binary whose subcommands are the roles a process can have.

mod access;
mod byte_size;
mod duration;
mod facade;
mod failure;
mod gateway;
mod keys;
mod launch;
mod listen_address;
mod prove;
mod repair;
mod shard;

use std::ffi::CStr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shardcart::process::core_dumps;
use shardcart::process::files;
use shardcart::process::logging::{self, LogFormat};

/// The allocator, which was measured with a million carts to be smaller and faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  shardcart launch                          a whole store on this machine, data in ./data
  shardcart launch --shards 8 --data /srv/shop --min-free 1GB
  shardcart keys new --file keys.json --role write --name checkout
  shardcart help launch                     every option of a command

Documentation: README.md and docs/ in the source; http://127.0.0.1:5000/docs of a running store.";

/// A sharded, durable key-value store for shopping carts, behind an HTTP facade.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    /// The form of log lines on stderr: human or json. The environment variable SHARDCART_LOG says what is
    /// logged, as `info` or `shardcart=debug`.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// Let the operating system write core files, which may hold card numbers.
    #[arg(long, global = true)]
    allow_core_dumps: bool,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Start a payment gateway, N shards and a facade on this machine, restart what dies, stop all of it cleanly.
    Launch(launch::Arguments),
    /// Run the HTTP facade, which routes requests to shards.
    Facade(facade::Arguments),
    /// Run one shard.
    Shard(shard::Arguments),
    /// Run the simulated payment gateway, for trials and tests.
    Gateway(gateway::Arguments),
    /// Make, list and revoke API keys.
    Keys(keys::Arguments),
    /// Show on a store of its own that nothing acknowledged is lost while its processes are killed.
    Prove(prove::Arguments),
    /// Show what is damaged in a data directory, and give up what cannot be kept.
    Repair(repair::Arguments),
}

/// The name in lists of processes. Without it a child of a launcher would have the name of the link that started it.
const PROCESS_NAME: &CStr = c"shardcart";

fn main() -> ExitCode {
    // An error leaves another name, which harms nobody.
    let _ = rustix::thread::set_name(PROCESS_NAME);
    let code = run();
    logging::finish();
    code
}

fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error),
    };
    if !cli.allow_core_dumps
        && let Err(error) = core_dumps::forbid()
    {
        return failure::report(&anyhow::Error::new(error).context("cannot forbid core dumps"), cli.log_format);
    }
    if !matches!(cli.role, Role::Keys(_)) {
        // The file of keys has an owner and permissions of its own.
        files::keep_private();
    }
    let result = match cli.role {
        Role::Launch(arguments) => launch::run(arguments, cli.log_format, cli.allow_core_dumps),
        Role::Facade(arguments) => facade::run(arguments, cli.log_format),
        Role::Shard(arguments) => shard::run(arguments, cli.log_format),
        Role::Gateway(arguments) => gateway::run(arguments, cli.log_format),
        Role::Keys(arguments) => keys::run(arguments),
        Role::Prove(arguments) => {
            return prove::run(arguments, cli.log_format)
                .unwrap_or_else(|error| failure::report(&error, cli.log_format));
        }
        Role::Repair(arguments) => {
            return repair::run(arguments, cli.log_format)
                .unwrap_or_else(|error| failure::report(&error, cli.log_format));
        }
    };
    result.map_or_else(|error| failure::report(&error, cli.log_format), |()| ExitCode::SUCCESS)
}
