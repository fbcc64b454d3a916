//! `shardcart cart`: shows and changes carts, and turns them into orders.

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shardcart::domain::money::Money;
use shardcart::remote::{Answer, Path, Request};

use super::failed::Retry;
use super::order;
use super::payment::{CardOptions, Payment};
use super::store::{Store, StoreOptions};
use super::write::WriteOptions;
use crate::terminal::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  shardcart cart add alice 9780143127550 --count 2     at the price of the catalog
  shardcart cart add alice apple --price 12.10
  shardcart cart get alice
  shardcart cart checkout alice --address '1 Main St'

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
    /// Show a cart.
    #[command(after_help = "Example:\n  shardcart cart get alice")]
    Get { customer: String },
    /// Put an item into a cart; counts of one item add up.
    #[command(after_help = "Example:\n  shardcart cart add alice apple --price 12.10 --count 2")]
    Add(Add),
    /// Set the count of an item that is in a cart; 0 removes it.
    #[command(after_help = "Example:\n  shardcart cart set alice apple 5")]
    Set {
        customer: String,
        item: String,
        /// The new count.
        count: u32,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Remove an item from a cart.
    #[command(after_help = "Example:\n  shardcart cart remove alice apple")]
    Remove {
        customer: String,
        item: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Order and pay what is in a cart.
    #[command(after_help = "Example:\n  shardcart cart checkout alice --card-file card.txt --address '1 Main St'")]
    Checkout(Checkout),
}

#[derive(Args)]
struct Add {
    customer: String,
    item: String,
    /// The price of one, as 12.10 [default: that of the product with the item's id in the catalog].
    #[arg(long, value_parser = Money::parse)]
    price: Option<Money>,
    /// How many are added.
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// Offer it in a special sale.
    #[arg(long)]
    sale: bool,
    /// The end of the sale, as 2030-01-31T18:00:00Z or 2030-01-31.
    #[arg(long, value_name = "TIME", requires = "sale")]
    until: Option<String>,
    #[command(flatten)]
    write: WriteOptions,
}

#[derive(Args)]
struct Checkout {
    customer: String,
    #[command(flatten)]
    card: CardOptions,
    /// Also schedule a delivery to this address.
    #[arg(long)]
    address: Option<String>,
    /// Buy lines whose sale has ended at the price of the catalog.
    #[arg(long)]
    accept_price_changes: bool,
    #[command(flatten)]
    write: WriteOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Offer<'a> {
    offered_price: String,
    item_count: u32,
    special_sale: bool,
    sale_expiration: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewCount {
    new_count: u32,
}

#[derive(Serialize)]
struct CheckoutBody<'a> {
    payment: Payment,
    address: Option<&'a str>,
    #[serde(rename = "acceptPriceChanges")]
    accept_price_changes: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cart {
    customer_id: String,
    items: Vec<Line>,
    item_total: u64,
    total: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    item_id: String,
    offered_price: Option<Box<RawValue>>,
    item_count: u64,
    sale_active: bool,
    sale_expiration: Option<String>,
}

#[derive(Deserialize)]
struct Priced {
    price: Box<RawValue>,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let store = Store::new(&arguments.store)?;
    match arguments.action {
        Action::Get { customer } => store.show(Path::of(&["items", &customer])?, view),
        Action::Add(add) => put_in(&store, &add),
        Action::Set { customer, item, count, write } => {
            let body = serde_json::to_vec(&NewCount { new_count: count })?;
            change(&store, &write, Method::PUT, &[&customer, &item], Some(body))
        }
        Action::Remove { customer, item, write } => change(&store, &write, Method::DELETE, &[&customer, &item], None),
        Action::Checkout(checkout) => check_out(&store, &checkout),
    }
}

fn change(
    store: &Store,
    write: &WriteOptions,
    method: Method,
    line: &[&str; 2],
    body: Option<Vec<u8>>,
) -> anyhow::Result<()> {
    let [customer, item] = line;
    let (request, retry) = write.request(method, Path::of(&["item", customer, item])?, body);
    let answer = store.send(&request, retry)?;
    store.print(&answer, view)
}

fn put_in(store: &Store, add: &Add) -> anyhow::Result<()> {
    let price = match add.price {
        Some(price) => price.to_string(),
        None => price_of(store, &add.item).context("without --price, the item has to be a product of the catalog")?,
    };
    let offer = Offer {
        offered_price: price,
        item_count: add.count,
        special_sale: add.sale,
        sale_expiration: add.until.as_deref(),
    };
    change(store, &add.write, Method::POST, &[&add.customer, &add.item], Some(serde_json::to_vec(&offer)?))
}

fn price_of(store: &Store, item: &str) -> anyhow::Result<String> {
    let answer = store.send(&Request::get(Path::of(&["info", item])?), Retry::Read)?;
    Ok(answer.json::<Priced>()?.price.get().to_owned())
}

fn check_out(store: &Store, checkout: &Checkout) -> anyhow::Result<()> {
    let body = CheckoutBody {
        payment: checkout.card.payment()?,
        address: checkout.address.as_deref(),
        accept_price_changes: checkout.accept_price_changes,
    };
    let body = serde_json::to_vec(&body)?;
    let path = Path::of(&["checkout", &checkout.customer])?;
    let (request, retry) = checkout.write.request(Method::POST, path, Some(body));
    let answer = store.send(&request, retry)?;
    store.print(&answer, order::view)
}

fn view(answer: &Answer) -> anyhow::Result<String> {
    let cart: Cart = answer.json()?;
    if cart.items.is_empty() {
        return Ok(format!("the cart of {} is empty\n", cart.customer_id));
    }
    let columns = [Column::text("ITEM"), Column::number("COUNT"), Column::number("PRICE"), Column::text("SALE")];
    let mut table = Table::new(columns);
    for line in &cart.items {
        let sale = match (line.sale_active, &line.sale_expiration) {
            (false, None) => "",
            (false, Some(_)) => "ended",
            (true, None) => "yes",
            (true, Some(end)) => end,
        };
        let price = line.offered_price.as_ref().map_or("-", |price| price.get());
        table.row([&line.item_id, &line.item_count.to_string(), price, sale]);
    }
    table.row(["total", &cart.item_total.to_string(), cart.total.get(), ""]);
    Ok(table.to_string())
}
