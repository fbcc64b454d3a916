//! A snapshot as the JSON of `GET /status`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::faults::Fault;
use super::figures::{FacadeFigures, OrderTotals, ShardFigures};
use super::interval::{ClassRates, Traffic};
use super::snapshot::{INTERVAL, Snapshot};
use super::verdict::Verdict;
use crate::domain::stock_sums::StockSums;
use crate::protocol::{ShardStatus, UndecidedOrder};

#[derive(Serialize)]
struct View<'a> {
    snapshot: u64,
    at: String,
    interval_s: u64,
    version: &'static str,
    store_id: Option<String>,
    development_key: bool,
    playground: bool,
    verdict: &'a Verdict,
    facade: FacadeView,
    shards: Vec<ShardView<'a>>,
    orders: OrdersView,
    stock: StockView,
    faults: Vec<FaultView<'a>>,
}

#[derive(Serialize)]
struct FacadeView {
    uptime_s: u64,
    connections: u64,
    viewers: u64,
    #[serde(flatten)]
    traffic: TrafficView,
    log_dropped: u64,
}

/// The requests of an interval; null while it is not known.
#[derive(Serialize, Default)]
struct TrafficView {
    requests_per_s: Option<ClassRates>,
    errors_per_s: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

#[derive(Serialize)]
struct SlotsView {
    first: u16,
    last: u16,
}

#[derive(Serialize)]
struct OldestView {
    order_id: String,
    since: String,
}

/// A shard. All that it says of itself is null while it is down.
#[derive(Serialize)]
struct ShardView<'a> {
    shard: u32,
    state: &'static str,
    since: String,
    slots: Vec<SlotsView>,
    uptime_s: Option<u64>,
    records: Option<BTreeMap<&'a str, u64>>,
    records_total: Option<u64>,
    resident_bytes: Option<u64>,
    memory_bytes: Option<u64>,
    max_memory_bytes: Option<u64>,
    #[serde(flatten)]
    traffic: TrafficView,
    commits_per_s: Option<f64>,
    commit_p50_ms: Option<f64>,
    commit_p99_ms: Option<f64>,
    batch_size: Option<f64>,
    queue: Option<u64>,
    idempotency_keys: Option<u64>,
    open_orders: Option<u64>,
    undecided_orders: Option<u64>,
    oldest_undecided: Option<OldestView>,
    free_disk_bytes: Option<u64>,
    accepts_writes: Option<bool>,
    captures_failed: Option<u64>,
    damages: Option<u64>,
}

#[derive(Serialize)]
struct OrdersView {
    pending: u64,
    created: u64,
    refused: u64,
    cancelled: u64,
    oldest_undecided: Option<OldestView>,
}

#[derive(Serialize)]
struct StockView {
    products: u64,
    received: u64,
    stock: u64,
    held: u64,
    sold: u64,
    adds_up: bool,
}

#[derive(Serialize)]
struct FaultView<'a> {
    at: String,
    shard: Option<usize>,
    request_id: &'a str,
    route: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
}

/// Renders a snapshot.
pub fn render(snapshot: &Snapshot) -> Bytes {
    let view = View {
        snapshot: snapshot.number,
        at: snapshot.at.to_string(),
        interval_s: INTERVAL.as_secs(),
        version: env!("CARGO_PKG_VERSION"),
        store_id: snapshot.store.map(|store| store.to_string()),
        development_key: snapshot.facts.development_key,
        playground: snapshot.facts.playground,
        verdict: &snapshot.verdict,
        facade: facade(&snapshot.facade),
        shards: snapshot.shards.iter().map(shard).collect(),
        orders: orders(&snapshot.orders),
        stock: stock(snapshot.stock),
        faults: snapshot.faults.iter().map(|fault| fault_view(fault)).collect(),
    };
    serde_json::to_vec(&view).expect("a struct of texts and numbers is always JSON").into()
}

/// Adds a member to a JSON object that has some.
pub fn with_member(object: &[u8], name: &str, value: &impl Serialize) -> Vec<u8> {
    let mut out = object.strip_suffix(b"}").unwrap_or(object).to_vec();
    out.extend_from_slice(format!(",\"{name}\":").as_bytes());
    serde_json::to_writer(&mut out, value).expect("our own types always serialize, and writing to memory cannot fail");
    out.push(b'}');
    out
}

fn traffic(traffic: Option<Traffic>) -> TrafficView {
    traffic.map_or_else(TrafficView::default, |Traffic { requests_per_s, errors_per_s, p50_ms, p99_ms }| TrafficView {
        requests_per_s: Some(requests_per_s),
        errors_per_s: Some(errors_per_s),
        p50_ms,
        p99_ms,
    })
}

fn facade(figures: &FacadeFigures) -> FacadeView {
    FacadeView {
        uptime_s: figures.uptime_s,
        connections: figures.connections,
        viewers: figures.viewers,
        traffic: traffic(figures.traffic),
        log_dropped: figures.log_dropped,
    }
}

fn oldest(order: &UndecidedOrder) -> OldestView {
    OldestView { order_id: order.order.clone(), since: order.since.to_string() }
}

fn shard(figures: &ShardFigures) -> ShardView<'_> {
    let status = figures.status.as_deref();
    let interval = figures.interval;
    let number = |of: fn(&ShardStatus) -> u64| status.map(of);
    let records =
        |status: &ShardStatus, kind: &str| status.records.iter().find(|(name, _)| name == kind).map(|(_, n)| *n);
    ShardView {
        shard: figures.shard,
        state: figures.state.name(),
        since: figures.since.to_string(),
        slots: figures.slots.iter().map(|range| SlotsView { first: *range.start(), last: *range.end() }).collect(),
        uptime_s: number(|status| status.uptime.as_secs()),
        records: status.map(|status| status.records.iter().map(|(kind, count)| (kind.as_str(), *count)).collect()),
        records_total: number(|status| status.records_total),
        resident_bytes: number(|status| status.resident_bytes),
        memory_bytes: number(|status| status.memory_bytes),
        max_memory_bytes: number(|status| status.max_memory_bytes),
        traffic: traffic(interval.map(|interval| interval.traffic)),
        commits_per_s: interval.map(|interval| interval.commits_per_s),
        commit_p50_ms: interval.and_then(|interval| interval.commit_p50_ms),
        commit_p99_ms: interval.and_then(|interval| interval.commit_p99_ms),
        batch_size: interval.and_then(|interval| interval.batch_size),
        queue: number(|status| status.queue),
        idempotency_keys: number(|status| status.idempotency_keys),
        open_orders: status.and_then(|status| records(status, "open_order")),
        undecided_orders: number(|status| status.undecided_orders),
        oldest_undecided: status.and_then(|status| status.oldest_undecided.as_ref()).map(oldest),
        free_disk_bytes: number(|status| status.free_disk_bytes),
        accepts_writes: status.map(|status| status.accepts_writes),
        captures_failed: number(|status| status.captures_failed),
        damages: number(|status| status.damages),
    }
}

fn orders(totals: &OrderTotals) -> OrdersView {
    OrdersView {
        pending: totals.pending,
        created: totals.decided.created,
        refused: totals.decided.refused,
        cancelled: totals.decided.cancelled,
        oldest_undecided: totals.oldest_undecided.as_ref().map(oldest),
    }
}

fn stock(sums: StockSums) -> StockView {
    let StockSums { products, received, stock, held, sold } = sums;
    StockView { products, received, stock, held, sold, adds_up: sums.adds_up() }
}

fn fault_view(fault: &Fault) -> FaultView<'_> {
    FaultView {
        at: fault.at.to_string(),
        shard: fault.shard,
        request_id: &fault.request_id,
        route: fault.route,
        status: fault.status,
        code: fault.code,
        detail: &fault.detail,
    }
}
