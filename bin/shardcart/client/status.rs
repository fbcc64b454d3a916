//! `shardcart status`: how a store is, once or every second.

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use clap::Args;
use shardcart::remote::{Answer, Outcome, Path, Request};

use super::failed::{Failed, Retry};
use super::status_view::{View, render};
use super::store::{Store, StoreOptions};
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  shardcart status
  shardcart status --watch
  shardcart status --json | jq .verdict

The exit status is 0 when the store says that all is well, else 1.

Documentation: docs/command-line.md in the source; docs/operations.md says what each figure means.";

/// The time between two looks. The store takes a snapshot every second.
const INTERVAL: Duration = Duration::from_secs(1);
/// Moves the cursor to the top left, and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreOptions,
    /// Show it again every second, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

/// Shows the status. True when all is well.
pub fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let store = Store::new(&arguments.store)?;
    let request = Request::get(Path::of(&["status"])?);
    if !arguments.watch {
        let answer = store.send(&request, Retry::Read)?;
        store.print(&answer, view)?;
        return Ok(answer.json::<View>()?.verdict.ok);
    }
    loop {
        match store.try_send(&request) {
            Ok(answer) => {
                if !store.is_json() && io::stdout().is_terminal() {
                    output::text(CLEAR)?;
                }
                store.print(&answer, view)?;
            }
            // A store that is away comes back, and is waited for.
            Err(failure) if failure.outcome == Outcome::NotApplied => output::note(&failure.to_string()),
            Err(failure) => return Err(Failed { failure, retry: Retry::Read, is_json: store.is_json() }.into()),
        }
        if output::is_closed() {
            return Ok(true);
        }
        thread::sleep(INTERVAL);
    }
}

fn view(answer: &Answer) -> anyhow::Result<String> {
    Ok(render(&answer.json()?))
}
