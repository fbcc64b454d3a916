//! `shardcart delivery`: deliveries of orders.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use shardcart::remote::{Answer, Path};

use super::store::{Store, StoreOptions};
use super::write::WriteOptions;
use crate::terminal::table::details;

const EXAMPLES: &str = "\
Examples:
  shardcart delivery schedule 0c5d1c9e-7f2b-8d3a-9d0c-2f6c8a1b4e77 --address '1 Main St'
  shardcart delivery show 5a7e4d1c-3b2f-8c6d-a1e0-9f8b7c6d5e4f
  shardcart delivery move 5a7e4d1c-3b2f-8c6d-a1e0-9f8b7c6d5e4f dispatched

Documentation: docs/command-line.md in the source.";

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
    /// Schedule the delivery of an order.
    #[command(
        after_help = "Example:\n  shardcart delivery schedule 0c5d1c9e-7f2b-8d3a-9d0c-2f6c8a1b4e77 --address '1 Main St'"
    )]
    Schedule {
        order: String,
        /// Where to.
        #[arg(long)]
        address: String,
        /// Who brings it.
        #[arg(long, default_value = "local")]
        courier: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Show a delivery.
    #[command(after_help = "Example:\n  shardcart delivery show 5a7e4d1c-3b2f-8c6d-a1e0-9f8b7c6d5e4f")]
    Show { id: String },
    /// Move a delivery on: scheduled to dispatched to delivered, or cancelled before that.
    #[command(after_help = "Example:\n  shardcart delivery move 5a7e4d1c-3b2f-8c6d-a1e0-9f8b7c6d5e4f dispatched")]
    Move {
        id: String,
        /// The new status.
        status: String,
        #[command(flatten)]
        write: WriteOptions,
    },
}

#[derive(Serialize)]
struct NewDelivery<'a> {
    order_id: &'a str,
    address: &'a str,
    courier: &'a str,
}

#[derive(Serialize)]
struct Move<'a> {
    status: &'a str,
}

#[derive(Deserialize)]
struct Delivery {
    delivery_id: String,
    order_id: String,
    address: String,
    courier: String,
    status: String,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let store = Store::new(&arguments.store)?;
    let (request, retry) = match arguments.action {
        Action::Show { id } => return store.show(Path::of(&["api", "delivery", &id])?, view),
        Action::Schedule { order, address, courier, write } => {
            let body = NewDelivery { order_id: &order, address: &address, courier: &courier };
            write.request(Method::POST, Path::of(&["api", "delivery"])?, Some(serde_json::to_vec(&body)?))
        }
        Action::Move { id, status, write } => {
            let body = serde_json::to_vec(&Move { status: &status })?;
            write.request(Method::PATCH, Path::of(&["api", "delivery", &id])?, Some(body))
        }
    };
    let answer = store.send(&request, retry)?;
    store.print(&answer, view)
}

fn view(answer: &Answer) -> anyhow::Result<String> {
    let delivery: Delivery = answer.json()?;
    Ok(details(&[
        ("delivery", &delivery.delivery_id),
        ("order", &delivery.order_id),
        ("status", &delivery.status),
        ("courier", &delivery.courier),
        ("address", &delivery.address),
    ]))
}
