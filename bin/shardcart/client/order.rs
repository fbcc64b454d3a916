//! `shardcart order`: orders of customers.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shardcart::remote::{Answer, Path};

use super::payment::{CardOptions, Payment};
use super::product::{Page, note_next};
use super::store::{Store, StoreOptions};
use super::write::WriteOptions;
use crate::terminal::table::{Column, Table, details};

const EXAMPLES: &str = "\
Examples:
  shardcart order place alice 9780143127550 9780140449136=2
  shardcart order list --customer alice --status created
  shardcart order show 0c5d1c9e-7f2b-8d3a-9d0c-2f6c8a1b4e77
  shardcart order cancel 0c5d1c9e-7f2b-8d3a-9d0c-2f6c8a1b4e77

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
    /// List orders, the newest first.
    #[command(after_help = "Example:\n  shardcart order list --customer alice --payment-status captured")]
    List {
        /// Those of a customer only.
        #[arg(long)]
        customer: Option<String>,
        /// Those in a state only: pending, created, refused or cancelled.
        #[arg(long)]
        status: Option<String>,
        /// Those whose payment is in a state only, as captured or capture_failed.
        #[arg(long, value_name = "STATUS")]
        payment_status: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show an order, its lines and its steps.
    #[command(after_help = "Example:\n  shardcart order show 0c5d1c9e-7f2b-8d3a-9d0c-2f6c8a1b4e77")]
    Show { id: String },
    /// Order and pay books without a cart, at the prices of the catalog.
    #[command(after_help = "Example:\n  shardcart order place alice 9780143127550 9780140449136=2")]
    Place {
        customer: String,
        /// The ISBN of a book; ISBN=N orders more than one.
        #[arg(required = true, value_name = "ISBN[=N]")]
        books: Vec<Book>,
        #[command(flatten)]
        card: CardOptions,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Cancel an order that is not under way: its stock comes back, its payment is voided or refunded.
    #[command(after_help = "Example:\n  shardcart order cancel 0c5d1c9e-7f2b-8d3a-9d0c-2f6c8a1b4e77")]
    Cancel {
        id: String,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// A line of an order.
#[derive(Clone, Serialize)]
struct Book {
    isbn: String,
    quantity: u32,
}

impl std::str::FromStr for Book {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (isbn, quantity) = text.split_once('=').unwrap_or((text, "1"));
        let quantity = quantity.parse().map_err(|_| "is not ISBN or ISBN=N".to_owned())?;
        Ok(Book { isbn: isbn.to_owned(), quantity })
    }
}

#[derive(Serialize)]
struct NewOrder<'a> {
    customer_id: &'a str,
    items: &'a [Book],
    payment: Payment,
}

#[derive(Deserialize)]
struct Orders {
    items: Vec<Order>,
    next_cursor: Option<String>,
}

/// An order. What only some answers have may be missing.
#[derive(Deserialize)]
struct Order {
    order_id: String,
    status: String,
    total: Box<RawValue>,
    customer_id: Option<String>,
    #[serde(default)]
    items: Vec<Line>,
    payment_status: Option<String>,
    payment_tx_id: Option<String>,
    reason: Option<String>,
    delivery_id: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    quantity: u64,
    price: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Step {
    step: String,
    at: String,
    #[serde(default)]
    shards: Vec<u32>,
    gateway: Option<String>,
    by: Option<String>,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let store = Store::new(&arguments.store)?;
    match arguments.action {
        Action::List { customer, status, payment_status, page } => {
            let filters = [("customer_id", customer), ("status", status), ("payment_status", payment_status)];
            let mut path = page.of(Path::of(&["api", "orders"])?);
            for (name, value) in filters {
                path = value.iter().fold(path, |path, value| path.with(name, value));
            }
            store.show(path, list)
        }
        Action::Show { id } => store.show(Path::of(&["api", "orders", &id])?, view),
        Action::Place { customer, books, card, write } => {
            let order = NewOrder { customer_id: &customer, items: &books, payment: card.payment()? };
            let body = serde_json::to_vec(&order)?;
            let (request, retry) = write.request(Method::POST, Path::of(&["api", "orders"])?, Some(body));
            let answer = store.send(&request, retry)?;
            store.print(&answer, view)
        }
        Action::Cancel { id, write } => {
            let (request, retry) = write.request(Method::POST, Path::of(&["api", "orders", &id, "cancel"])?, None);
            let answer = store.send(&request, retry)?;
            store.print(&answer, view)
        }
    }
}

fn list(answer: &Answer) -> anyhow::Result<String> {
    let orders: Orders = answer.json()?;
    let columns = [
        Column::fixed("ORDER"),
        Column::text("CUSTOMER"),
        Column::text("STATUS"),
        Column::text("PAYMENT"),
        Column::number("TOTAL"),
    ];
    let mut table = Table::new(columns);
    for order in &orders.items {
        let customer = order.customer_id.as_deref().unwrap_or("-");
        let payment = order.payment_status.as_deref().unwrap_or("-");
        table.row([&*order.order_id, customer, &order.status, payment, order.total.get()]);
    }
    note_next(orders.next_cursor.as_deref());
    Ok(table.to_string())
}

/// An order for people, with as much as the answer has.
pub fn view(answer: &Answer) -> anyhow::Result<String> {
    let order: Order = answer.json()?;
    let mut members = vec![("order", order.order_id.as_str()), ("status", order.status.as_str())];
    let optional = [
        ("reason", &order.reason),
        ("customer", &order.customer_id),
        ("payment", &order.payment_status),
        ("transaction", &order.payment_tx_id),
        ("delivery", &order.delivery_id),
    ];
    members.extend(optional.into_iter().filter_map(|(label, value)| Some((label, value.as_deref()?))));
    members.push(("total", order.total.get()));
    let mut parts = vec![details(&members)];
    if !order.items.is_empty() {
        let mut table = Table::new([Column::text("ITEM"), Column::number("COUNT"), Column::number("PRICE")]);
        for line in &order.items {
            let price = line.price.as_ref().map_or("-", |price| price.get());
            table.row([&*line.id, &line.quantity.to_string(), price]);
        }
        parts.push(table.to_string());
    }
    if !order.steps.is_empty() {
        parts.push(steps(&order.steps).to_string());
    }
    Ok(parts.join("\n"))
}

fn steps(steps: &[Step]) -> Table<4> {
    let columns = [Column::fixed("STEP"), Column::fixed("AT"), Column::text("WHERE"), Column::text("REPAIRED BY")];
    let mut table = Table::new(columns);
    for step in steps {
        let shards = step.shards.iter().map(|shard| format!("shard {shard}"));
        let gateway = step.gateway.iter().map(|call| format!("gateway {call}"));
        let places = shards.chain(gateway).collect::<Vec<_>>().join(", ");
        table.row([&*step.step, &step.at, &places, step.by.as_deref().unwrap_or("")]);
    }
    table
}
