//! `shardcart product`: the catalog and its stock.

use clap::{Args, Subcommand, value_parser};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shardcart::domain::money::Money;
use shardcart::remote::{Answer, Path};

use super::store::{Store, StoreOptions};
use super::write::WriteOptions;
use crate::terminal::output;
use crate::terminal::table::{Column, Table, details};

const EXAMPLES: &str = "\
Examples:
  shardcart product list --topic 'distributed systems'
  shardcart product show 9780143127550
  shardcart product add tea --title 'Green tea' --price 4.20 --stock 100
  shardcart product stock tea --add 50

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
    /// List products, by id.
    #[command(after_help = "Example:\n  shardcart product list --topic fiction --limit 10")]
    List {
        /// Those of a topic only.
        #[arg(long)]
        topic: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show a product and its stock.
    #[command(after_help = "Example:\n  shardcart product show 9780143127550")]
    Show { id: String },
    /// Add a product to the catalog.
    #[command(after_help = "Example:\n  shardcart product add tea --title 'Green tea' --price 4.20 --stock 100")]
    Add(Add),
    /// Add to the stock of a product, or set what can be sold now.
    #[command(after_help = "Examples:\n  shardcart product stock tea --add 50\n  shardcart product stock tea --set 0")]
    Stock {
        id: String,
        #[command(flatten)]
        change: StockChange,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// A part of a list.
#[derive(Args)]
pub struct Page {
    /// The most rows.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Go on after an earlier page, as that one said.
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Args)]
struct Add {
    id: String,
    /// The id is an ISBN.
    #[arg(long)]
    isbn: bool,
    #[arg(long)]
    title: String,
    /// The price, as 4.20.
    #[arg(long, value_parser = Money::parse)]
    price: Money,
    /// How many can be sold.
    #[arg(long, value_name = "N")]
    stock: u64,
    #[arg(long)]
    author: Option<String>,
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    write: WriteOptions,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct StockChange {
    /// So many have come in.
    #[arg(long, value_name = "N")]
    add: Option<u32>,
    /// So many can be sold now; the difference counts as received or written off.
    #[arg(long, value_name = "N")]
    set: Option<u64>,
}

#[derive(Serialize)]
struct NewProduct<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isbn: Option<&'a str>,
    title: &'a str,
    price: String,
    stock: u64,
    author: Option<&'a str>,
    topic: Option<&'a str>,
}

#[derive(Serialize)]
struct Replenish<'a> {
    id: &'a str,
    quantity: u32,
}

#[derive(Serialize)]
struct SetStock {
    stock: u64,
}

#[derive(Deserialize)]
struct Catalog {
    items: Vec<Product>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Product {
    id: String,
    title: String,
    author: Option<String>,
    topic: Option<String>,
    price: Box<RawValue>,
    stock: u64,
    held: u64,
    sold: u64,
    received: u64,
}

#[derive(Deserialize)]
struct NewStock {
    id: String,
    quantity: u64,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let store = Store::new(&arguments.store)?;
    match arguments.action {
        Action::List { topic, page } => {
            let path = page.of(Path::of(&["catalog", "books"])?);
            store.show(topic.iter().fold(path, |path, topic| path.with("topic", topic)), list)
        }
        Action::Show { id } => store.show(Path::of(&["info", &id])?, view),
        Action::Add(add) => {
            let (id, isbn) = if add.isbn { (None, Some(&*add.id)) } else { (Some(&*add.id), None) };
            let (author, topic) = (add.author.as_deref(), add.topic.as_deref());
            let price = add.price.to_string();
            let product = NewProduct { id, isbn, title: &add.title, price, stock: add.stock, author, topic };
            let body = serde_json::to_vec(&product)?;
            let (request, retry) = add.write.request(Method::POST, Path::of(&["catalog", "books"])?, Some(body));
            let answer = store.send(&request, retry)?;
            store.print(&answer, view)
        }
        Action::Stock { id, change, write } => {
            let (method, path, body) = match (change.add, change.set) {
                (Some(quantity), _) => {
                    (Method::PUT, Path::of(&["replenish"])?, serde_json::to_vec(&Replenish { id: &id, quantity })?)
                }
                (None, stock) => {
                    let stock = stock.unwrap_or_default();
                    (Method::PATCH, Path::of(&["catalog", "books", &id])?, serde_json::to_vec(&SetStock { stock })?)
                }
            };
            let (request, retry) = write.request(method, path, Some(body));
            let answer = store.send(&request, retry)?;
            store.print(&answer, |answer| if change.add.is_some() { replenished(answer) } else { view(answer) })
        }
    }
}

impl Page {
    /// The path of the page of a list.
    pub fn of(&self, path: Path) -> Path {
        let path = path.with("limit", &self.limit.to_string());
        self.cursor.iter().fold(path, |path, cursor| path.with("cursor", cursor))
    }
}

/// Says how a list goes on.
pub fn note_next(cursor: Option<&str>) {
    if let Some(cursor) = cursor {
        output::note(&format!("there are more: --cursor {cursor}"));
    }
}

fn list(answer: &Answer) -> anyhow::Result<String> {
    let catalog: Catalog = answer.json()?;
    let columns = [
        Column::text("ID"),
        Column::text("TITLE"),
        Column::number("PRICE"),
        Column::number("STOCK"),
        Column::number("HELD"),
        Column::number("SOLD"),
    ];
    let mut table = Table::new(columns);
    for product in &catalog.items {
        let numbers = [product.stock, product.held, product.sold].map(|number| number.to_string());
        table.row([&product.id, &product.title, product.price.get(), &numbers[0], &numbers[1], &numbers[2]]);
    }
    note_next(catalog.next_cursor.as_deref());
    Ok(table.to_string())
}

fn view(answer: &Answer) -> anyhow::Result<String> {
    let product: Product = answer.json()?;
    let stock = format!(
        "{} to be sold, {} held for orders, {} sold, {} received",
        product.stock, product.held, product.sold, product.received
    );
    Ok(details(&[
        ("product", &product.id),
        ("title", &product.title),
        ("author", product.author.as_deref().unwrap_or("-")),
        ("topic", product.topic.as_deref().unwrap_or("-")),
        ("price", product.price.get()),
        ("stock", &stock),
    ]))
}

fn replenished(answer: &Answer) -> anyhow::Result<String> {
    let stock: NewStock = answer.json()?;
    Ok(details(&[("product", &stock.id), ("stock", &format!("{} to be sold", stock.quantity))]))
}
