//! Runs the facade: binds its addresses, starts the workers, and announces when it is ready.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::access_log::{AccessLog, AccessLogOptions};
use super::auth::{Auth, Port};
use super::browsers::{Browsers, Origin};
use super::execution::{Clock, Executions, NtpServer, follow};
use super::listener::{self, Limits};
use super::log_limit::LogLimit;
use super::metrics::Metrics;
use super::request_id::RequestIds;
use super::routes;
use super::service::{ListenerService, WorkerContext};
use super::shop::Shop;
use super::status::{self, Board, Facts};
use crate::access;
use crate::client::{Client, Shared};
use crate::error::{Error, Invalid, Result};
use crate::playground::Link;
use crate::process::heartbeat::Heartbeat;
use crate::process::shutdown::Shutdown;
use crate::process::{announce, descriptors};
use crate::routing::Address;

/// The default limit on open connections.
pub const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// The default time limit for a request's head, and for an idle connection.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The default time limit for a request's body.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The default time in which a client has to take some of what is sent to it.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The file descriptors that are kept for files, and for connections that wait for a place.
const RESERVED_DESCRIPTORS: u64 = 128;
/// The file descriptors that each worker needs for itself and its listeners, and for each of its sessions with shards.
const WORKER_DESCRIPTORS: u64 = 8;
const SESSION_DESCRIPTORS: u64 = 2;
/// The longest wait for the shards before a new facade announces that it is ready. It serves meanwhile.
const FIRST_SESSIONS_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait then until the shards that are up are seen so in a snapshot.
const FIRST_SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);

/// The options of a facade.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shards' addresses, in order.
    pub shards: Vec<Address>,
    /// The addresses on which the shop listens.
    pub http: Vec<SocketAddr>,
    /// The address on which the key-value API listens.
    pub kv: Option<SocketAddr>,
    /// The number of workers: threads, each with its own runtime, listeners and sessions.
    pub workers: usize,
    /// The most open connections over all workers. More wait to be accepted.
    pub max_connections: usize,
    /// The time limit for a request's head, and for an idle connection.
    pub header_timeout: Duration,
    /// The time limit for a request's body.
    pub body_timeout: Duration,
    /// The time in which a client has to take some of what is sent to it.
    pub write_timeout: Duration,
    /// The id of the store that the shards must belong to. When `None`, it is that of the first shard.
    pub store_id: Option<Uuid>,
    /// The API keys, and the requests that need them.
    pub access: access::Settings,
    /// The origins whose web pages may use the store.
    pub cors_origins: Vec<Origin>,
    /// The access log, if one is wanted.
    pub access_log: Option<AccessLogOptions>,
    /// The time server that corrects the clock of the execution ids.
    pub ntp_server: Option<NtpServer>,
    /// The launcher of a playground, if the store is one.
    pub playground: Option<Link>,
    /// True to check that no other process listens on the addresses.
    pub exclusive: bool,
}

/// The state that all workers share.
#[derive(Clone)]
struct FacadeContext {
    shared: Arc<Shared>,
    /// The permits for open connections, of all workers.
    connections: Arc<Semaphore>,
    auth: Arc<Auth>,
    browsers: Arc<Browsers>,
    executions: Arc<Executions>,
    access_log: Option<AccessLog>,
    board: Arc<Board>,
    /// Says that all workers go on.
    heartbeat: Heartbeat,
    /// The number of workers that have finished waiting for their sessions.
    started: Arc<AtomicUsize>,
}

/// One worker's listeners.
struct Sockets {
    shop: Vec<TcpListener>,
    kv: Option<TcpListener>,
}

/// Runs a facade until a shutdown is requested.
///
/// # Errors
/// [`Error::Invalid`] for impossible options, [`Error::Internal`] when an address cannot be used.
pub fn run(options: Options, shutdown: Shutdown) -> Result<()> {
    if options.shards.is_empty() || options.workers == 0 || options.max_connections < options.workers {
        return Err(Invalid::general("a facade needs a shard, a worker, and a connection for each worker").into());
    }
    let shared = Arc::new(Shared::of_store(options.store_id));
    let auth = Arc::new(Auth::open(&options.access, options.http.iter().chain(&options.kv).copied())?);
    let clock = Arc::new(Clock::default());
    if let Some(server) = options.ntp_server.clone() {
        follow(server, clock.clone())?;
    }
    let possible_connections = possible_connections(&options);
    let connections = Arc::new(Semaphore::new(possible_connections));
    let (board, publisher) = status::board(options.shards.len(), clock.clone());
    let executions = Arc::new(Executions::new(clock));
    let heartbeat = Heartbeat::of(options.workers);
    let browsers = Arc::new(Browsers::new(options.cors_origins.clone(), auth.has_development_key()));
    let access_log = options.access_log.as_ref().map(AccessLog::open).transpose()?;
    let started = Arc::default();
    let context =
        FacadeContext { shared, connections, auth, browsers, executions, access_log, board, heartbeat, started };
    let (first, options) = bind_first(options)?;
    let mut sockets = vec![first];
    for _ in 1..options.workers {
        sockets.push(bind_again(&options)?);
    }
    let metrics = Metrics::for_workers(options.workers, &routes::templates());
    let sources = status::Sources {
        shards: options.shards.clone(),
        shared: context.shared.clone(),
        metrics: metrics[0].clone(),
        class_of: routes::class_of,
        connections: (context.connections.clone(), possible_connections),
        facts: Facts { development_key: context.auth.has_development_key(), playground: options.playground.is_some() },
    };
    status::start(sources, context.board.clone(), publisher, shutdown.clone())?;
    let workers = sockets.into_iter().zip(metrics).enumerate().map(|(number, (sockets, metrics))| {
        let (options, shutdown, context) = (options.clone(), shutdown.clone(), context.clone());
        thread::Builder::new()
            .name("worker".into())
            .spawn(move || run_worker(number, &options, sockets, &context, metrics, &shutdown))
            .map_err(|error| Error::Internal(format!("cannot start a worker: {error}")))
    });
    let workers = workers.collect::<Result<Vec<_>>>()?;
    workers
        .into_iter()
        .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::Internal("a worker panicked".into()))))
}

/// The most connections for which there are file descriptors.
fn possible_connections(options: &Options) -> usize {
    let asked = options.max_connections.min(Semaphore::MAX_PERMITS);
    let (workers, shards) = (options.workers as u64, options.shards.len() as u64);
    // The sampler has as many connections as a worker.
    let reserved = RESERVED_DESCRIPTORS + (workers + 1) * (WORKER_DESCRIPTORS + SESSION_DESCRIPTORS * shards);
    descriptors::possible_connections(asked, reserved)
}

/// Binds every address once. The returned options have the ports that the operating system chose for port 0.
fn bind_first(mut options: Options) -> Result<(Sockets, Options)> {
    for address in options.http.iter().chain(&options.kv) {
        if options.exclusive {
            listener::check_exclusive(*address)?;
        }
    }
    let sockets = bind_again(&options)?;
    let local = |socket: &TcpListener| {
        socket.local_addr().map_err(|error| Error::Internal(format!("a listener has no address: {error}")))
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
    number: usize,
    options: &Options,
    sockets: Sockets,
    context: &FacadeContext,
    metrics: Metrics,
    shutdown: &Shutdown,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(serve(number, options, sockets, context, metrics, shutdown))
}

async fn serve(
    number: usize,
    options: &Options,
    sockets: Sockets,
    context: &FacadeContext,
    metrics: Metrics,
    shutdown: &Shutdown,
) -> Result<()> {
    let client = Client::start(&options.shards, &context.shared, shutdown)?;
    let limits = Limits {
        header_timeout: options.header_timeout,
        write_timeout: options.write_timeout,
        connections: context.connections.clone(),
    };
    let worker = Arc::new(WorkerContext {
        metrics: metrics.clone(),
        body_timeout: options.body_timeout,
        auth: context.auth.clone(),
        browsers: context.browsers.clone(),
        executions: context.executions.clone(),
        ids: RequestIds::new(),
        log_limit: LogLimit::new(),
        access_log: context.access_log.clone(),
        board: context.board.clone(),
    });
    let (executions, notes_shards) = (context.executions.clone(), context.access_log.is_some());
    let (board, playground) = (context.board.clone(), options.playground.clone());
    let shop = Arc::new(Shop { client, metrics, executions, notes_shards, board, playground });
    let mut servers = JoinSet::new();
    for socket in sockets.shop {
        let service = ListenerService::new(warp::service(routes::shop(&shop)), Port::Shop, worker.clone());
        servers.spawn(listener::serve(socket, service, limits.clone(), shutdown.clone()));
    }
    if let Some(socket) = sockets.kv {
        let service = ListenerService::new(warp::service(routes::key_value(&shop)), Port::KeyValue, worker);
        servers.spawn(listener::serve(socket, service, limits, shutdown.clone()));
    }
    let down = shop.client.wait_until_up(FIRST_SESSIONS_TIMEOUT).await;
    if context.started.fetch_add(1, Ordering::SeqCst) + 1 == options.workers {
        let up: Vec<_> = (0..options.shards.len()).filter(|shard| !down.contains(shard)).collect();
        context.board.wait_until_up(&up, FIRST_SNAPSHOT_TIMEOUT).await;
        say_ready(options, &down);
    }
    context.heartbeat.start(number, shutdown);
    while let Some(server) = servers.join_next().await {
        server.map_err(|error| Error::Internal(format!("a server task failed: {error}")))??;
    }
    Ok(())
}

/// Announces that the facade is ready, and logs the shards that it could not reach. Requests to those fail until they
/// answer.
fn say_ready(options: &Options, down: &[usize]) {
    for shard in down {
        let address = &options.shards[*shard];
        tracing::warn!(shard, %address, "ready without this shard, which does not answer; /readyz tells when it does");
    }
    let addresses = options.http.iter().map(|address| format!("http={address}"));
    let addresses: Vec<_> = addresses.chain(options.kv.map(|address| format!("kv={address}"))).collect();
    announce::ready(addresses.join(" "));
}
