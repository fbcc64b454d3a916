//! The command line: one binary whose subcommands are the roles a process can have.

mod access;
mod bench;
mod byte_size;
mod client;
mod completions;
mod doctor;
mod duration;
mod facade;
mod failure;
mod gateway;
mod keys;
mod launch;
mod listen_address;
mod prove;
mod repair;
mod settings;
mod shard;
mod terminal;

use std::env;
use std::ffi::CStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use shardcart::process::core_dumps;
use shardcart::process::files;
use shardcart::process::logging::{self, LogFormat};

use settings::{Parsed, Refusal};

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
    /// A TOML file of options, with a table for each command; arguments and the environment come before it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Show how a store is, once or every second.
    Status(client::status::Arguments),
    /// Show and change carts, and turn them into orders.
    Cart(client::cart::Arguments),
    /// Get, put and delete values under keys.
    Kv(client::kv::Arguments),
    /// List and change products and their stock.
    Product(client::product::Arguments),
    /// List, show, place and cancel orders.
    Order(client::order::Arguments),
    /// Schedule, show and move deliveries.
    Delivery(client::delivery::Arguments),
    /// Show which shard has a customer's cart and orders.
    Where(client::locate::Arguments),
    /// Look at this machine as a store needs it, and show which options are in force.
    Doctor(doctor::Arguments),
    /// Load a running store for some seconds, and show how fast it answers.
    Bench(bench::Arguments),
    /// Print the completions of a shell.
    Completions(completions::Arguments),
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
    let arguments: Vec<_> = env::args_os().collect();
    let Parsed { cli, .. } = match settings::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(Refusal::Arguments(error)) => return failure::report_usage(&error),
        Err(Refusal::Setting(invalid)) => return failure::report_setting(&invalid),
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
        Role::Cart(arguments) => client::cart::run(arguments),
        Role::Kv(arguments) => client::kv::run(arguments),
        Role::Product(arguments) => client::product::run(arguments),
        Role::Order(arguments) => client::order::run(arguments),
        Role::Delivery(arguments) => client::delivery::run(arguments),
        Role::Where(arguments) => client::locate::run(arguments),
        Role::Completions(arguments) => completions::run(arguments, Cli::command()),
        Role::Status(arguments) => return check(client::status::run(arguments), cli.log_format),
        Role::Doctor(arguments) => return check(doctor::run(arguments, cli.config.as_deref()), cli.log_format),
        Role::Bench(arguments) => return check(bench::run(arguments), cli.log_format),
        Role::Repair(arguments) => {
            return repair::run(arguments, cli.log_format)
                .unwrap_or_else(|error| failure::report(&error, cli.log_format));
        }
    };
    result.map_or_else(|error| failure::report(&error, cli.log_format), |()| ExitCode::SUCCESS)
}

/// The exit status of a check: 1 when something was found.
fn check(result: anyhow::Result<bool>, format: LogFormat) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failure::report(&error, format),
    }
}
