//! `shardcart bench`: a short load on a running store.

use std::time::Duration;

use clap::{Args, value_parser};
use serde::Serialize;
use shardcart::load_run::{Latencies, Options, Report};

use crate::client::{Store, StoreOptions};
use crate::terminal::table::{Column, Table};
use crate::terminal::{columns, output};

const EXAMPLES: &str = "\
Examples:
  shardcart bench
  shardcart bench --seconds 10 --connections 64 --writes 100

It reads and changes carts of customers whose ids begin with bench-, and removes them at the end, after Ctrl-C too. Each
connection sends its next request when it has the answer to the last one. The exit status is 0 when no request failed,
else 1.

Documentation: docs/command-line.md in the source.";

/// The columns beside a bar of the histogram.
const BESIDE_BAR: usize = 28;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreOptions,
    /// How long, in seconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u32).range(1..=256))]
    connections: u32,
    /// The part of writes, in hundredths; the others are reads.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = value_parser!(u32).range(0..=100))]
    writes: u32,
}

/// The figures of one kind of request, for programs.
#[derive(Serialize)]
struct Figures {
    requests: u64,
    requests_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

#[derive(Serialize)]
struct Document<'a> {
    seconds: f64,
    connections: u32,
    reads: Figures,
    writes: Figures,
    errors: &'a std::collections::BTreeMap<String, u64>,
}

/// Runs the load. True when no request failed and nothing is left behind.
pub fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let store = Store::new(&arguments.store)?;
    let options = Options {
        connections: arguments.connections,
        duration: Duration::from_secs(arguments.seconds),
        write_percent: arguments.writes,
    };
    output::note(&format!(
        "{} s with {} connections, of carts named bench-…",
        arguments.seconds, arguments.connections
    ));
    let report = store.load(options)?;
    for customer in &report.left_behind {
        output::note(&format!("the cart of {customer} could not be removed: DELETE /items/{customer}"));
    }
    if store.is_json() {
        let document = Document {
            seconds: report.elapsed.as_secs_f64(),
            connections: arguments.connections,
            reads: figures(&report.reads, report.elapsed),
            writes: figures(&report.writes, report.elapsed),
            errors: &report.errors,
        };
        output::bytes_as_line(&serde_json::to_vec(&document)?)?;
    } else {
        output::text(&render(&report))?;
    }
    Ok(report.failed() == 0 && report.left_behind.is_empty())
}

fn figures(latencies: &Latencies, elapsed: Duration) -> Figures {
    let millis = |part| latencies.quantile(part).as_secs_f64() * 1e3;
    Figures {
        requests: latencies.count(),
        requests_per_s: latencies.count() as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        p50_ms: millis(0.5),
        p99_ms: millis(0.99),
        p999_ms: millis(0.999),
    }
}

fn render(report: &Report) -> String {
    let columns = [
        Column::fixed("REQUEST"),
        Column::number("COUNT"),
        Column::number("PER SECOND"),
        Column::number("P50 MS"),
        Column::number("P99 MS"),
        Column::number("P99.9 MS"),
    ];
    let mut table = Table::new(columns);
    for (name, latencies) in [("read", &report.reads), ("write", &report.writes)] {
        let figures = figures(latencies, report.elapsed);
        let [p50, p99, p999] = [figures.p50_ms, figures.p99_ms, figures.p999_ms].map(|millis| format!("{millis:.2}"));
        let rate = format!("{:.0}", figures.requests_per_s);
        table.row([name, &figures.requests.to_string(), &rate, &p50, &p99, &p999]);
    }
    let mut parts = vec![table.to_string()];
    parts.extend([("reads", &report.reads), ("writes", &report.writes)].map(|(name, of)| histogram(name, of)));
    parts.retain(|part| !part.is_empty());
    let errors = report.errors.iter().map(|(error, count)| format!("  {count} x {error}\n"));
    parts.push(format!("errors  {}\n{}", report.failed(), errors.collect::<String>()));
    parts.join("\n")
}

fn histogram(name: &str, latencies: &Latencies) -> String {
    let bars = latencies.bars();
    let Some(most) = bars.iter().map(|bar| bar.count).max().filter(|most| *most > 0) else { return String::new() };
    let room = columns().saturating_sub(BESIDE_BAR) as u64;
    let lines = bars.iter().map(|bar| {
        // What is there is seen, however little.
        let length = (bar.count * room).div_ceil(most) as usize;
        let line = format!("  < {:>9.3}  {:>9}  {}", bar.below.as_secs_f64() * 1e3, bar.count, "█".repeat(length));
        format!("{}\n", line.trim_end())
    });
    format!("{name}, by milliseconds\n{}", lines.collect::<String>())
}
