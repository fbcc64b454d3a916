//! The comparison: starts the servers, measures them in rounds, and sums up the rounds of each cell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::bare::{Bare, Sample};
use crate::generator::{Load, Measured};
use crate::harness::carts;
use crate::harness::connection::Connection;
use crate::harness::store::Store;
use crate::harness::{Result, block_on};
use crate::options::{Options, Scenario};
use crate::redis::RedisService;
use crate::tcp_store::TcpStore;

/// The number of connections that fill a store.
const FILL_CONNECTIONS: usize = 32;
/// The time for which `cargo test` runs the generator.
const TRIAL: Duration = Duration::from_millis(50);

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The bare warp server.
    Bare,
    /// shardcart with this many shards.
    Shards(u32),
    /// The service over Redis.
    Redis,
}

/// One server under one load, in every round.
pub struct Row {
    /// The server.
    pub server: Server,
    /// The measurements, one for each round.
    pub rounds: Vec<Measured>,
}

/// One scenario with one number of connections, for every server; the bare one comes first.
pub struct Cell {
    /// The requests.
    pub scenario: Scenario,
    /// The connections.
    pub connections: usize,
    /// The servers.
    pub rows: Vec<Row>,
}

impl Server {
    /// Its name in the table.
    pub fn label(self) -> String {
        match self {
            Server::Bare => "bare warp".to_owned(),
            Server::Shards(1) => "1 shard".to_owned(),
            Server::Shards(shards) => format!("{shards} shards"),
            Server::Redis => "redis service".to_owned(),
        }
    }
}

impl Cell {
    /// The number of failed requests.
    pub fn failed(&self) -> u64 {
        self.rows.iter().flat_map(|row| &row.rounds).map(|round| round.failed).sum()
    }

    /// The median over the rounds of a figure of `row` divided by the bare server's in the same round.
    pub fn ratio(&self, row: &Row, figure: fn(&Measured) -> f64) -> f64 {
        row.ratio_to(&self.rows[0], figure)
    }

    /// The row of a server that was measured.
    pub fn row(&self, server: Server) -> Option<&Row> {
        self.rows.iter().find(|row| row.server == server)
    }
}

impl Row {
    /// The median over the rounds of a figure.
    pub fn median(&self, figure: fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// The median over the rounds of a figure divided by that of another server in the same round.
    pub fn ratio_to(&self, other: &Row, figure: fn(&Measured) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(round, other)| figure(round) / figure(other)))
    }
}

/// A running server with its data.
struct Running {
    server: Server,
    process: Process,
    _data: TempDir,
}

enum Process {
    Bare(Bare),
    Store(Store),
    TcpStore(TcpStore),
    Redis(RedisService),
}

/// Runs every cell, and calls `done` with each when it is complete. With `redis` the service over Redis takes part.
///
/// # Errors
/// When a server cannot be started or ends.
pub fn run(options: &Options, redis: bool, done: fn(&Cell)) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for &scenario in &options.only {
        let servers = start(options, redis, scenario)?;
        let requests = Arc::new(requests(scenario, options.customers, options.lines));
        for &connections in &options.connections {
            let load = Load {
                connections,
                threads: options.threads,
                warm_up: options.warm_up(),
                window: options.window(),
                rate: options.rate,
                requests: Arc::clone(&requests),
            };
            let cell = measure(&servers, scenario, &load, options.rounds)?;
            done(&cell);
            cells.push(cell);
        }
        servers.into_iter().try_for_each(Running::stop)?;
    }
    Ok(cells)
}

/// Runs the generator against the bare server alone, and returns the number of answers.
///
/// # Errors
/// When any request failed.
pub fn try_generator() -> Result<u64> {
    let directory = TempDir::new()?;
    let bare = Bare::start(&Sample::placeholder(), directory.path())?;
    let mut answered = 0;
    for (scenario, rate) in [(Scenario::Get, None), (Scenario::Post, Some(200.0))] {
        let load = Load {
            connections: 2,
            threads: 2,
            warm_up: Duration::ZERO,
            window: TRIAL,
            rate,
            requests: Arc::new(requests(scenario, 2, carts::LINES)),
        };
        let measured = load.run(bare.address(), &[bare.process()])?;
        if let Some(failure) = measured.first_failure {
            return Err(failure.into());
        }
        answered += measured.answered;
    }
    Ok(answered)
}

/// The servers of one scenario: the bare one, which answers as the first store does, the stores, and
/// the service over Redis.
fn start(options: &Options, redis: bool, scenario: Scenario) -> Result<Vec<Running>> {
    let mut stores = Vec::new();
    for &shards in &options.shards {
        let data = tempfile::tempdir_in(&options.data)?;
        let storage = options.storage(scenario);
        let process = match options.tcp {
            true => Process::TcpStore(TcpStore::start(shards, storage, data.path())?),
            false => Process::Store(Store::start(shards, storage, data.path())?),
        };
        block_on(carts::fill(process.address(), options.customers, options.lines, FILL_CONNECTIONS))?;
        stores.push(Running { server: Server::Shards(shards), process, _data: data });
    }
    let sample = match stores.first() {
        Some(store) => block_on(sample_of(store.process.address()))?,
        None => Sample::placeholder(),
    };
    let data = tempfile::tempdir_in(&options.data)?;
    let bare = Process::Bare(Bare::start(&sample, data.path())?);
    let mut servers = vec![Running { server: Server::Bare, process: bare, _data: data }];
    servers.extend(stores);
    if redis {
        servers.push(start_redis(options, scenario, &sample)?);
    }
    Ok(servers)
}

/// The service over Redis, filled with the same carts; it is asked for the sample's cart, since what
/// gives other answers than the store is not comparable.
fn start_redis(options: &Options, scenario: Scenario, sample: &Sample) -> Result<Running> {
    let data = tempfile::tempdir_in(&options.data)?;
    let service = RedisService::start(data.path(), scenario.is_durable())?;
    block_on(carts::fill(service.address(), options.customers, options.lines, FILL_CONNECTIONS))?;
    if !options.shards.is_empty() {
        block_on(sample_of(service.address()))?.expect_same_cart(sample)?;
    }
    Ok(Running { server: Server::Redis, process: Process::Redis(service), _data: data })
}

async fn sample_of(address: SocketAddr) -> Result<Sample> {
    let mut connection = Connection::open(address).await?;
    Sample::of(&connection.exchange(&carts::read_request(0)).await?)
}

fn requests(scenario: Scenario, customers: u64, lines: u64) -> Vec<Vec<u8>> {
    match scenario {
        Scenario::Get => (0..customers).map(carts::read_request).collect(),
        Scenario::Post | Scenario::Durable => {
            let line_of = |customer| (0..lines).map(move |line| carts::add_request(customer, line));
            (0..customers).flat_map(line_of).collect()
        }
    }
}

/// Measures every server once in each round. Each round begins with another server, so that a slow phase of the
/// machine affects all of them.
fn measure(servers: &[Running], scenario: Scenario, load: &Load, rounds: usize) -> Result<Cell> {
    let mut rows: Vec<Row> = servers.iter().map(|running| Row { server: running.server, rounds: Vec::new() }).collect();
    for round in 0..rounds {
        for turn in 0..servers.len() {
            let next = (round + turn) % servers.len();
            rows[next].rounds.push(servers[next].apply(load)?);
        }
    }
    Ok(Cell { scenario, connections: load.connections, rows })
}

impl Running {
    fn apply(&self, load: &Load) -> Result<Measured> {
        load.run(self.process.address(), &self.process.ids()?)
    }

    fn stop(self) -> Result<()> {
        match self.process {
            Process::Bare(_) | Process::Redis(_) => Ok(()),
            Process::Store(store) => store.stop(),
            Process::TcpStore(store) => store.stop(),
        }
    }
}

impl Process {
    fn address(&self) -> SocketAddr {
        match self {
            Process::Bare(bare) => bare.address(),
            Process::Store(store) => store.http(),
            Process::TcpStore(store) => store.http(),
            Process::Redis(service) => service.address(),
        }
    }

    /// The ids of all its processes.
    fn ids(&self) -> Result<Vec<u32>> {
        match self {
            Process::Bare(bare) => Ok(vec![bare.process()]),
            Process::Store(store) => store.processes(),
            Process::TcpStore(store) => Ok(store.processes()),
            Process::Redis(service) => Ok(service.processes().to_vec()),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}
