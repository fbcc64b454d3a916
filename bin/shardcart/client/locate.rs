//! `shardcart where`: the shard that has a customer's cart and orders.

use clap::Args;
use serde::Deserialize;
use shardcart::remote::{Answer, Path};

use super::store::{Store, StoreOptions};
use crate::terminal::table::details;

const EXAMPLES: &str = "\
Example:
  shardcart where alice

Documentation: docs/command-line.md in the source.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreOptions,
    customer: String,
}

#[derive(Deserialize)]
struct Place {
    customer_id: String,
    hash: String,
    slot: u32,
    shard: u32,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let store = Store::new(&arguments.store)?;
    store.show(Path::of(&["where", &arguments.customer])?, view)
}

fn view(answer: &Answer) -> anyhow::Result<String> {
    let place: Place = answer.json()?;
    Ok(details(&[
        ("customer", &place.customer_id),
        ("hash", &place.hash),
        ("slot", &place.slot.to_string()),
        ("shard", &place.shard.to_string()),
    ]))
}
