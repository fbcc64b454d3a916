//! The table of results, shardcart beside the service over Redis, and the targets beside the figures reached.

use std::thread;

use crate::compare::{Cell, Row, Server};
use crate::generator::Measured;
use crate::options::{Options, Scenario};

/// The number of connections for which the targets are stated.
const TARGET_CONNECTIONS: usize = 64;

/// A target of shardcart, as ratios to the bare server.
struct Target {
    scenario: Scenario,
    shards: u32,
    rate_at_least: f64,
    processor_at_most: Option<f64>,
    rate_goal: Option<f64>,
}

const TARGETS: [Target; 5] = [
    Target {
        scenario: Scenario::Get,
        shards: 1,
        rate_at_least: 0.75,
        processor_at_most: Some(1.5),
        rate_goal: Some(0.88),
    },
    Target {
        scenario: Scenario::Get,
        shards: 4,
        rate_at_least: 0.65,
        processor_at_most: Some(2.0),
        rate_goal: Some(0.80),
    },
    Target {
        scenario: Scenario::Post,
        shards: 1,
        rate_at_least: 0.65,
        processor_at_most: Some(1.8),
        rate_goal: Some(0.80),
    },
    Target {
        scenario: Scenario::Post,
        shards: 4,
        rate_at_least: 0.48,
        processor_at_most: Some(2.7),
        rate_goal: Some(0.65),
    },
    Target {
        scenario: Scenario::Durable,
        shards: 1,
        rate_at_least: 0.40,
        processor_at_most: None,
        rate_goal: Some(0.60),
    },
];

/// Prints the setting and the table's head; `redis` is the version of Redis, or why it does not take part.
pub fn print_setting(options: &Options, redis: &Result<String, &str>) {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = options.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate} requests/s"));
    println!(
        "{cores} cores; {load}; {} generator thread(s); shards on {}; {} customers with 5 lines each; {} rounds of {} s; \
         data in {}",
        options.threads,
        if options.tcp { "TCP" } else { "Unix sockets" },
        options.customers,
        options.rounds,
        options.seconds,
        options.data.display(),
    );
    match redis {
        Ok(version) => println!("redis service: axum and redis-server {version} on a Unix socket; its CPU is both's."),
        Err(reason) => println!("redis service: left out ({reason})."),
    }
    println!("Medians of the rounds; ratios are to bare warp within a round; CPU is the servers' µs a request.\n");
    println!(
        "{:<15} {:>5}  {:<13} {:>9} {:>9} {:>9} {:>7}  {:>6} {:>6}  {:>9}",
        "scenario", "conns", "server", "req/s", "p50 µs", "p99 µs", "CPU µs", "rate", "CPU", "generator"
    );
}

/// Prints the rows of one cell.
pub fn print_cell(cell: &Cell) {
    for row in &cell.rows {
        println!(
            "{:<15} {:>5}  {:<13} {:>9.0} {:>9.0} {:>9.0} {:>7.1}  {:>5.2}x {:>5.2}x  {:>9.1}{}",
            cell.scenario.label(),
            cell.connections,
            row.server.label(),
            row.median(rate),
            row.median(p50),
            row.median(p99),
            row.median(processor),
            cell.ratio(row, rate),
            cell.ratio(row, processor),
            row.median(|round| per_request(round, round.generator)),
            failures(row),
        );
    }
}

/// Prints shardcart's figures divided by those of the service over Redis, where it took part.
pub fn print_redis(cells: &[Cell]) {
    let beside = cells.iter().filter_map(|cell| Some((cell, cell.row(Server::Redis)?)));
    let mut beside = beside.peekable();
    if beside.peek().is_none() {
        return;
    }
    println!("\nshardcart divided by the redis service, medians of the ratios within a round:");
    println!(
        "{:<15} {:>5}  {:<13} {:>7} {:>7} {:>7} {:>7}",
        "scenario", "conns", "server", "req/s", "p50", "p99", "CPU"
    );
    for (cell, redis) in beside {
        for row in cell.rows.iter().filter(|row| matches!(row.server, Server::Shards(_))) {
            println!(
                "{:<15} {:>5}  {:<13} {:>6.2}x {:>6.2}x {:>6.2}x {:>6.2}x",
                cell.scenario.label(),
                cell.connections,
                row.server.label(),
                row.ratio_to(redis, rate),
                row.ratio_to(redis, p50),
                row.ratio_to(redis, p99),
                row.ratio_to(redis, processor),
            );
        }
    }
}

/// Prints the targets that were measured, with the figures reached.
pub fn print_targets(cells: &[Cell]) {
    let lines: Vec<String> = TARGETS.iter().filter_map(|target| target.judge(cells)).collect();
    if !lines.is_empty() {
        println!("\nTargets at {TARGET_CONNECTIONS} connections:\n{}", lines.join("\n"));
    }
}

impl Target {
    fn judge(&self, cells: &[Cell]) -> Option<String> {
        let cell =
            cells.iter().find(|cell| cell.scenario == self.scenario && cell.connections == TARGET_CONNECTIONS)?;
        let row = cell.row(Server::Shards(self.shards))?;
        let reached = cell.ratio(row, rate);
        let goal = self.rate_goal.map_or_else(String::new, |goal| format!(", goal {goal:.2}x"));
        let mut line = format!(
            "{:<15} {:<9} rate {reached:.2}x of at least {:.2}x: {}{goal}",
            self.scenario.label(),
            row.server.label(),
            self.rate_at_least,
            verdict(reached >= self.rate_at_least),
        );
        if let Some(most) = self.processor_at_most {
            let spent = cell.ratio(row, processor);
            line += &format!("; CPU {spent:.2}x of at most {most:.2}x: {}", verdict(spent <= most));
        }
        Some(line)
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn failures(row: &Row) -> String {
    let failed: u64 = row.rounds.iter().map(|round| round.failed).sum();
    let first = row.rounds.iter().find_map(|round| round.first_failure.as_deref());
    first.map_or_else(String::new, |first| format!("  {failed} FAILED, first: {first}"))
}

fn rate(round: &Measured) -> f64 {
    round.answered as f64 / round.window.as_secs_f64()
}

fn processor(round: &Measured) -> f64 {
    per_request(round, round.server)
}

/// The time per request, in microseconds.
fn per_request(round: &Measured, spent: std::time::Duration) -> f64 {
    spent.as_secs_f64() * 1e6 / round.answered as f64
}

fn p50(round: &Measured) -> f64 {
    quantile(round, 0.50)
}

fn p99(round: &Measured) -> f64 {
    quantile(round, 0.99)
}

/// Microseconds.
fn quantile(round: &Measured, quantile: f64) -> f64 {
    round.latencies.value_at_quantile(quantile) as f64 / 1e3
}
