//! `shardcart kv`: values under keys.

use std::io::{self, Read as _};

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use shardcart::remote::{Path, Request};

use super::failed::Retry;
use super::store::{Store, StoreOptions};
use super::write::{command_line, same_command_line};
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  shardcart kv put greeting 'good morning'
  shardcart kv put greeting < greeting.txt
  shardcart kv get greeting
  shardcart kv delete greeting

Documentation: docs/command-line.md in the source.";

/// More than the longest value, so that the store says what is too long. In bytes.
const MAX_INPUT_BYTES: u64 = 64 << 10;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a value, as it was stored.
    #[command(after_help = "Example:\n  shardcart kv get greeting")]
    Get { key: String },
    /// Store a value; that is safe to repeat.
    #[command(after_help = "Examples:\n  shardcart kv put greeting hello\n  date | shardcart kv put today")]
    Put {
        key: String,
        /// The value [default: standard input].
        value: Option<String>,
    },
    /// Delete a value. It is not repeated by itself: what a second one deletes may have been stored by somebody else.
    #[command(after_help = "Example:\n  shardcart kv delete greeting")]
    Delete { key: String },
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let store = Store::new(&arguments.store)?;
    match arguments.action {
        Action::Get { key } => {
            let answer = store.send(&Request::get(Path::of(&["kv", &key])?), Retry::Read)?;
            output::value(&answer.body)?;
        }
        Action::Put { key, value } => {
            let value = value.map_or_else(read_value, |value| Ok(value.into_bytes()))?;
            let request = Request::repeatable(Method::PUT, Path::of(&["kv", &key])?).with_bytes(value);
            let answer = store.send(&request, Retry::Command(same_command_line()))?;
            let what = if answer.status == 201 { "stored" } else { "replaced" };
            store.print(&answer, |_| Ok(format!("{key}: {what}\n")))?;
        }
        Action::Delete { key } => {
            let look = ["shardcart", "kv", "get", &key].map(str::to_owned);
            let request = Request::once(Method::DELETE, Path::of(&["kv", &key])?);
            let answer = store.send(&request, Retry::Look(command_line(&look)))?;
            store.print(&answer, |_| Ok(format!("{key}: deleted\n")))?;
        }
    }
    Ok(())
}

fn read_value() -> anyhow::Result<Vec<u8>> {
    let mut value = Vec::new();
    io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut value).context("cannot read standard input")?;
    Ok(value)
}
