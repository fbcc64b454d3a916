//! `shardcart gateway`: runs the simulated payment gateway.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use shardcart::gateway::{self, Options};
use shardcart::process::logging::{self, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::routing::Address;

const EXAMPLES: &str = "\
Examples:
  shardcart gateway --listen 127.0.0.1:7100 --data gateway
  shardcart launch --payment http://127.0.0.1:7100/
  curl -X PUT -d '{\"delay_ms\": 2000}' http://127.0.0.1:7100/control

Documentation: README.md and docs/ in the source.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The address to listen on, on this machine only: HOST:PORT on loopback, or unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// The data directory, which keeps the payments; made when missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Refuse to start when the data directory has no payments.
    #[arg(long)]
    require_payments: bool,
    /// End when standard input, a pipe from a launcher, closes.
    #[arg(long, hide = true)]
    parent_pipe: bool,
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(arguments.parent_pipe).context("cannot handle signals")?;
    logging::init(format, Some(&arguments.data)).context("cannot start the log")?;
    let options =
        Options { listen: arguments.listen, data: arguments.data, require_payments: arguments.require_payments };
    Ok(gateway::run(&options, shutdown)?)
}
