//! The status of a store as text, from the snapshot that `GET /status` has, too.

use serde::Deserialize;

use crate::terminal::style::{Style, paint};
use crate::terminal::table::{Column, Table, details, wrapped};
use crate::terminal::{columns, units};

/// The newest faults that are shown.
const SHOWN_FAULTS: usize = 5;

/// A snapshot. Members that are not shown are left out.
#[derive(Deserialize)]
pub struct View {
    snapshot: u64,
    at: String,
    interval_s: u64,
    version: String,
    #[serde(default)]
    development_key: bool,
    pub verdict: Verdict,
    facade: Facade,
    shards: Vec<Shard>,
    orders: Orders,
    stock: Stock,
    #[serde(default)]
    faults: Vec<Fault>,
}

/// The store's judgement of itself.
#[derive(Deserialize)]
pub struct Verdict {
    pub ok: bool,
    text: String,
    action: Option<String>,
}

#[derive(Deserialize)]
struct Rates {
    reads: f64,
    writes: f64,
    orders: f64,
}

#[derive(Deserialize)]
struct Facade {
    uptime_s: u64,
    connections: u64,
    requests_per_s: Option<Rates>,
    errors_per_s: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

#[derive(Deserialize)]
struct Shard {
    shard: u32,
    state: String,
    records_total: Option<u64>,
    memory_bytes: Option<u64>,
    requests_per_s: Option<Rates>,
    p99_ms: Option<f64>,
    commit_p99_ms: Option<f64>,
    open_orders: Option<u64>,
    free_disk_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Orders {
    pending: u64,
    created: u64,
    refused: u64,
    cancelled: u64,
}

#[derive(Deserialize)]
struct Stock {
    products: u64,
    received: u64,
    stock: u64,
    held: u64,
    sold: u64,
    adds_up: bool,
}

#[derive(Deserialize)]
struct Fault {
    at: String,
    shard: Option<u32>,
    request_id: String,
    route: String,
    status: u16,
}

impl Rates {
    fn total(&self) -> f64 {
        self.reads + self.writes + self.orders
    }
}

/// Renders a snapshot.
pub fn render(view: &View) -> String {
    let mut parts = vec![verdict(view), shards(view).to_string(), totals(view)];
    if !view.faults.is_empty() {
        parts.push(faults(&view.faults).to_string());
    }
    parts.join("\n")
}

fn verdict(view: &View) -> String {
    let style = if view.verdict.ok { Style::Good } else { Style::Bad };
    let text = wrapped(&view.verdict.text, columns()).into_iter().map(|line| paint(&line, style));
    let action = view.verdict.action.iter().flat_map(|action| wrapped(action, columns()));
    text.chain(action).map(|line| line + "\n").collect()
}

fn shards(view: &View) -> Table<8> {
    let columns = [
        Column::number("SHARD"),
        Column::fixed("STATE"),
        Column::number("RECORDS"),
        Column::number("MEMORY"),
        Column::number("REQ/S"),
        Column::number("P99 MS"),
        Column::number("COMMIT P99"),
        Column::number("ORDERS"),
    ];
    let mut table = Table::new(columns);
    for shard in &view.shards {
        let number = |number: Option<u64>| number.map_or_else(|| "-".into(), |number| number.to_string());
        let rate = shard.requests_per_s.as_ref().map(Rates::total);
        table.row([
            &shard.shard.to_string(),
            &shard.state,
            &number(shard.records_total),
            &shard.memory_bytes.map_or_else(|| "-".into(), units::bytes),
            &units::figure(rate),
            &units::figure(shard.p99_ms),
            &units::figure(shard.commit_p99_ms),
            &number(shard.open_orders),
        ]);
    }
    table
}

fn totals(view: &View) -> String {
    let Facade { uptime_s, connections, requests_per_s, errors_per_s, p50_ms, p99_ms } = &view.facade;
    let rates = requests_per_s.as_ref().map_or_else(
        || "-".to_owned(),
        |rates| {
            let [reads, writes, orders] =
                [rates.reads, rates.writes, rates.orders].map(|rate| units::figure(Some(rate)));
            format!("{reads} reads, {writes} writes, {orders} orders")
        },
    );
    let facade = format!(
        "{rates}, {} errors a second; p50 {} ms, p99 {} ms; {connections} connections",
        units::figure(*errors_per_s),
        units::figure(*p50_ms),
        units::figure(*p99_ms),
    );
    let Orders { pending, created, refused, cancelled } = view.orders;
    let orders = format!("{pending} pending, {created} created, {refused} refused, {cancelled} cancelled");
    let Stock { products, received, stock, held, sold, adds_up } = view.stock;
    let sum = if adds_up { "=" } else { "IS NOT" };
    let stock =
        format!("{received} received {sum} {stock} to be sold + {held} held + {sold} sold, of {products} products");
    let free = view.shards.iter().filter_map(|shard| shard.free_disk_bytes).min();
    let key = if view.development_key { ", with the development key" } else { "" };
    let snapshot = format!(
        "{} of {}, over {} s; version {}, up for {}{key}",
        view.snapshot,
        view.at,
        view.interval_s,
        view.version,
        units::seconds(*uptime_s),
    );
    details(&[
        ("facade", &facade),
        ("orders", &orders),
        ("stock", &stock),
        ("disk", &format!("{} free", free.map_or_else(|| "-".into(), units::bytes))),
        ("snapshot", &snapshot),
    ])
}

fn faults(faults: &[Fault]) -> Table<5> {
    let columns = [
        Column::fixed("FAULT AT"),
        Column::number("SHARD"),
        Column::number("STATUS"),
        Column::text("ROUTE"),
        Column::fixed("REQUEST ID"),
    ];
    let mut table = Table::new(columns);
    for fault in faults.iter().take(SHOWN_FAULTS) {
        let shard = fault.shard.map_or_else(|| "-".into(), |shard| shard.to_string());
        table.row([&fault.at, &shard, &fault.status.to_string(), &fault.route, &fault.request_id]);
    }
    table
}
