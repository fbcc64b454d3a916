//! The facade: HTTP/1.1 in, commands to shards out. It keeps nothing, so there may be any number.

mod call;
mod carts;
mod clock;
mod deliveries;
mod execution;
mod gate;
mod kv;
mod listener;
mod lists;
mod metrics;
mod ntp;
mod openapi;
mod ops;
mod orders;
mod paths;
mod problem;
mod products;
mod response;
mod routes;
mod service;
mod stream;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::access::{self, Access, Port};
use crate::client::{Client, KnownStore};
use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::routing::Address;
use clock::Clock;
use execution::Executions;
use listener::Limits;
use metrics::Metrics;
pub use paths::PATHS;
use routes::Shop;
use service::{Common, Front, RequestIds};

pub use ntp::NtpServer;

/// Connections at a time by default.
pub const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// How long the head of a request may take by default, and how long a connection may be idle.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the body of a request may take by default.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a new facade waits for its shards before it says that it is ready all the same.
const FIRST_SESSIONS_TIMEOUT: Duration = Duration::from_secs(2);

/// How to run a facade.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shards' addresses, in order.
    pub shards: Vec<Address>,
    /// Where the shop listens.
    pub http: Vec<SocketAddr>,
    /// Where the key-value API listens.
    pub kv: Option<SocketAddr>,
    /// Threads, each with a runtime, listeners and sessions of its own.
    pub workers: usize,
    /// Connections at a time, over all workers; more wait.
    pub max_connections: usize,
    /// How long the head of a request may take; also how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// The store that the shards must belong to; when `None` it is the first one met.
    pub store_id: Option<Uuid>,
    /// Who may come in.
    pub access: access::Settings,
    /// What corrects the clock of the execution ids.
    pub ntp_server: Option<NtpServer>,
    /// Whether to make sure that nobody else listens on the addresses.
    pub exclusive: bool,
}

/// What all workers share.
#[derive(Clone)]
struct Shared {
    store: KnownStore,
    access: Arc<Access>,
    executions: Arc<Executions>,
}

/// One worker's listeners.
struct Sockets {
    shop: Vec<TcpListener>,
    kv: Option<TcpListener>,
}

/// Runs a facade until a shutdown is asked for.
///
/// # Errors
/// [`Error::Invalid`] for options that cannot be, [`Error::Fault`] when an address cannot be used.
pub fn run(options: Options, shutdown: Shutdown) -> Result<()> {
    if options.shards.is_empty() || options.workers == 0 || options.max_connections < options.workers {
        return Err(Error::Invalid("a facade needs a shard, a worker, and a connection for each worker".into()));
    }
    let store = KnownStore::default();
    if let Some(id) = options.store_id {
        store.get_or_init(|| id);
    }
    let access = Access::open(&options.access, options.http.iter().chain(&options.kv).copied())?.follow()?;
    let clock = Arc::new(Clock::default());
    if let Some(server) = options.ntp_server.clone() {
        ntp::follow(server, clock.clone())?;
    }
    let shared = Shared { store, access, executions: Arc::new(Executions::new(clock)) };
    let (first, options) = bind_first(options)?;
    let mut sockets = vec![first];
    for _ in 1..options.workers {
        sockets.push(bind_again(&options)?);
    }
    let workers = sockets.into_iter().zip(Metrics::for_workers(options.workers)).map(|(sockets, metrics)| {
        let (options, shutdown, shared) = (options.clone(), shutdown.clone(), shared.clone());
        thread::Builder::new()
            .name("worker".into())
            .spawn(move || run_worker(&options, sockets, &shared, metrics, &shutdown))
            .map_err(|error| Error::Fault(format!("cannot start a worker: {error}")))
    });
    let workers = workers.collect::<Result<Vec<_>>>()?;
    workers
        .into_iter()
        .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::Fault("a worker panicked".into()))))
}

/// Binds every address once; where a port was left to the operating system, it is known then.
fn bind_first(mut options: Options) -> Result<(Sockets, Options)> {
    for address in options.http.iter().chain(&options.kv) {
        if options.exclusive {
            listener::check_exclusive(*address)?;
        }
    }
    let sockets = bind_again(&options)?;
    let local = |socket: &TcpListener| {
        socket.local_addr().map_err(|error| Error::Fault(format!("a listener has no address: {error}")))
    };
    options.http = sockets.shop.iter().map(local).collect::<Result<_>>()?;
    options.kv = sockets.kv.as_ref().map(local).transpose()?;
    Ok((sockets, options))
}

fn bind_again(options: &Options) -> Result<Sockets> {
    Ok(Sockets {
        shop: options.http.iter().map(|address| listener::bind(*address)).collect::<Result<_>>()?,
        kv: options.kv.map(listener::bind).transpose()?,
    })
}

fn run_worker(
    options: &Options,
    sockets: Sockets,
    shared: &Shared,
    metrics: Metrics,
    shutdown: &Shutdown,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Fault(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(serve(options, sockets, shared, metrics, shutdown))
}

async fn serve(
    options: &Options,
    sockets: Sockets,
    shared: &Shared,
    metrics: Metrics,
    shutdown: &Shutdown,
) -> Result<()> {
    let shop =
        Shop { client: Arc::new(Client::start(&options.shards, &shared.store, shutdown)?), metrics: metrics.clone() };
    let limits = Limits {
        header_timeout: options.header_timeout,
        connections: Arc::new(Semaphore::new(options.max_connections / options.workers)),
    };
    let common = Arc::new(Common {
        metrics: metrics.clone(),
        body_timeout: options.body_timeout,
        access: shared.access.clone(),
        executions: shared.executions.clone(),
        ids: RequestIds::new(),
    });
    shop.client.wait_until_up(FIRST_SESSIONS_TIMEOUT).await;
    let mut servers = JoinSet::new();
    for socket in sockets.shop {
        let front = Front::new(warp::service(routes::shop(&shop)), Port::Shop, common.clone());
        servers.spawn(listener::serve(socket, front, limits.clone(), shutdown.clone()));
    }
    if let Some(socket) = sockets.kv {
        let front = Front::new(warp::service(routes::key_value(&shop)), Port::KeyValue, common);
        servers.spawn(listener::serve(socket, front, limits, shutdown.clone()));
    }
    if metrics.is_last_worker_up() {
        announce(options);
    }
    while let Some(server) = servers.join_next().await {
        server.map_err(|error| Error::Fault(format!("a server task failed: {error}")))??;
    }
    Ok(())
}

fn announce(options: &Options) {
    let addresses = options.http.iter().map(|address| format!("http={address}"));
    let addresses: Vec<_> = addresses.chain(options.kv.map(|address| format!("kv={address}"))).collect();
    // Nobody may be reading; the facade serves all the same.
    let _ = writeln!(std::io::stdout(), "ready {}", addresses.join(" "));
}
