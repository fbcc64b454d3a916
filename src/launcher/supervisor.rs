//! Starts the simulated payment gateway, the shards and the facade, in this order, and keeps them running until a shutdown is requested.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::catalog_check::CopyLimits;
use super::child::{Spec, StopRequest, keep_running};
use super::crash::{CrashRequests, Crashes, Target};
use super::data_directory::DataDirectory;
use super::payment::PaymentKind;
use super::port::Port;
use crate::access::{self, ApiKeys, KEY_VARIABLES};
use crate::catalog::Catalog;
use crate::error::{Error, Invalid, Result};
use crate::process::logging::print;
use crate::process::shutdown::Shutdown;
use crate::storage::StorageKind;

/// The silence after which a child is restarted, by default.
pub const DEFAULT_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The options of a launcher.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of shards, at most [`MAX_LOCAL_SHARDS`](super::MAX_LOCAL_SHARDS).
    pub shards: u32,
    /// The addresses of the shop.
    pub http: Vec<SocketAddr>,
    /// The address of the key-value API.
    pub kv: SocketAddr,
    /// The data directory, which is created when missing.
    pub data: PathBuf,
    /// The storage of the shards.
    pub storage: StorageKind,
    /// The products that a new store begins with.
    pub catalog: Catalog,
    /// The bytes that a copy of the catalog leaves free on the disk.
    pub min_free: u64,
    /// The payment gateway.
    pub payment: PaymentKind,
    /// True when plain http to a gateway on another machine is wanted.
    pub payment_insecure: bool,
    /// The options for API keys, which the facade gets as arguments.
    pub access: access::Settings,
    /// A child that lives and is silent for so long is restarted.
    pub answer_timeout: Duration,
    /// Arguments for every child, such as those for logs.
    pub common: Vec<OsString>,
    /// More arguments for the shards.
    pub shard: Vec<OsString>,
    /// More arguments for the facade.
    pub facade: Vec<OsString>,
    /// Variables for every child, beside those of the launcher.
    pub environment: Vec<(OsString, OsString)>,
    /// More lines about a store that is ready.
    pub notes: Vec<String>,
    /// True to print nothing.
    pub is_quiet: bool,
}

/// A store that is ready, as its guest sees it.
#[derive(Debug, Clone)]
pub struct RunningStore {
    /// The first address of the shop.
    pub shop: SocketAddr,
    /// The socket of the simulated gateway.
    pub gateway: PathBuf,
    /// What can be crashed.
    pub crashes: Crashes,
}

/// Runs a store until a shutdown is requested.
///
/// # Errors
/// [`Error::Invalid`] for malformed options, [`Error::Internal`] when a child, an address or the data directory cannot
/// be used. No child is left running.
pub fn run(options: &Options, shutdown: Shutdown) -> Result<()> {
    run_with_guest(options, shutdown, |_, mut shutdown| async move { shutdown.wait().await }).map(drop)
}

/// Runs a store, and beside it, once it is ready, a guest. The store is stopped when the guest ends: when it wants to, or
/// because it was told of a shutdown. Returns what the guest returned, or `None` when a shutdown was requested before
/// the store was ready.
///
/// # Errors
/// Those of [`run`]. The guest is dropped then.
pub fn run_with_guest<G: Future>(
    options: &Options,
    shutdown: Shutdown,
    guest: impl FnOnce(RunningStore, Shutdown) -> G,
) -> Result<Option<G::Output>> {
    // The facade checks the same, but only when everything else runs.
    ApiKeys::open(&options.access, options.http.iter().copied().chain([options.kv]))?;
    if let PaymentKind::At(address) = &options.payment {
        address.check_encrypted(options.payment_insecure)?;
    }
    if options.http.is_empty() {
        return Err(Invalid::general("a store needs an address of the shop").into());
    }
    // The ports come first: without them, no data directory must be created.
    let http = options.http.iter().map(|address| Port::reserve(*address)).collect::<Result<Vec<_>>>()?;
    let kv = Port::reserve(options.kv)?;
    let limits = CopyLimits { min_free: options.min_free, is_stopped: &|| shutdown.is_requested() };
    let data = DataDirectory::open(&options.data, options.shards, options.storage, &options.catalog, limits)?;
    let program = env::args_os().next().unwrap_or_else(|| "shardcart".into());
    let targets = [Target::Gateway, Target::Facade].into_iter().chain((0..options.shards).map(Target::Shard));
    let (crashes, requests) = Crashes::of(targets);
    let launch = Launch { options, program, data, http, kv, crashes };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(launch.supervise(requests.into_iter().collect(), shutdown, guest))
}

/// A store that is being launched, with its reserved ports and data directory.
struct Launch<'a> {
    options: &'a Options,
    program: OsString,
    data: DataDirectory,
    http: Vec<Port>,
    kv: Port,
    crashes: Crashes,
}

/// The requests to crash the children that are not started yet.
type Requests = HashMap<Target, CrashRequests>;

/// Children that are started and stopped together.
struct Group {
    tasks: JoinSet<Result<()>>,
    stop: watch::Sender<StopRequest>,
}

impl Group {
    /// Starts children and waits until each is ready; false when a shutdown came first.
    async fn start(specs: Vec<(Spec, CrashRequests)>, shutdown: &mut Shutdown) -> (Self, Result<bool>) {
        let (ready, mut waiting) = mpsc::channel(specs.len().max(1));
        let mut group = Group { tasks: JoinSet::new(), stop: watch::Sender::new(StopRequest::None) };
        let mut missing = specs.len();
        for (spec, crashes) in specs {
            group.tasks.spawn(keep_running(spec, ready.clone(), group.stop.subscribe(), crashes));
        }
        while missing > 0 {
            tokio::select! {
                Some(_) = waiting.recv() => missing -= 1,
                error = group.failed() => return (group, Err(error)),
                () = shutdown.wait() => return (group, Ok(false)),
            }
        }
        (group, Ok(true))
    }

    /// Waits until a child cannot be kept running.
    async fn failed(&mut self) -> Error {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(error) => return Error::Internal(format!("a task failed: {error}")),
            }
        }
        std::future::pending().await
    }

    /// Stops all children. A second request for a shutdown kills them.
    async fn stop(mut self, shutdown: &mut Shutdown) {
        self.stop.send_replace(StopRequest::Graceful);
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => if ended.is_none() { return },
                () = shutdown.wait_for_another(), if *self.stop.borrow() != StopRequest::Kill => {
                    self.stop.send_replace(StopRequest::Kill);
                }
            }
        }
    }
}

impl Launch<'_> {
    async fn supervise<G: Future>(
        &self,
        mut requests: Requests,
        mut shutdown: Shutdown,
        guest: impl FnOnce(RunningStore, Shutdown) -> G,
    ) -> Result<Option<G::Output>> {
        let is_simulated = self.options.payment == PaymentKind::Simulated;
        let targets = is_simulated.then_some(Target::Gateway);
        let (mut gateway, started) = Group::start(self.specs(targets.into_iter(), &mut requests), &mut shutdown).await;
        if !matches!(started, Ok(true)) {
            gateway.stop(&mut shutdown).await;
            return started.map(|_| None);
        }
        let result = self.supervise_store(&mut gateway, requests, &mut shutdown, guest).await;
        // Shards that end may still have to ask it.
        gateway.stop(&mut shutdown).await;
        result
    }

    async fn supervise_store<G: Future>(
        &self,
        gateway: &mut Group,
        mut requests: Requests,
        shutdown: &mut Shutdown,
        guest: impl FnOnce(RunningStore, Shutdown) -> G,
    ) -> Result<Option<G::Output>> {
        let targets = (0..self.options.shards).map(Target::Shard);
        let (mut shards, started) = Group::start(self.specs(targets, &mut requests), shutdown).await;
        if !matches!(started, Ok(true)) {
            shards.stop(shutdown).await;
            return started.map(|_| None);
        }
        self.data.note_ready(self.options.payment == PaymentKind::Simulated)?;
        let facade = self.specs([Target::Facade].into_iter(), &mut requests);
        let (mut facade, started) = Group::start(facade, shutdown).await;
        let result = match started {
            Ok(true) => {
                self.greet();
                tokio::select! {
                    error = gateway.failed() => Err(error),
                    error = shards.failed() => Err(error),
                    error = facade.failed() => Err(error),
                    output = guest(self.running(), shutdown.clone()) => Ok(Some(output)),
                }
            }
            other => other.map(|_| None),
        };
        self.say("stopping");
        for group in [&*gateway, &shards] {
            group.stop.send_replace(StopRequest::DontRestart);
        }
        facade.stop(shutdown).await;
        shards.stop(shutdown).await;
        result
    }

    fn running(&self) -> RunningStore {
        RunningStore {
            shop: self.http.first().expect("the options were checked to have an address").address,
            gateway: self.data.gateway_socket(),
            crashes: self.crashes.clone(),
        }
    }

    /// The command lines of children, each with the requests to crash it.
    fn specs(&self, targets: impl Iterator<Item = Target>, requests: &mut Requests) -> Vec<(Spec, CrashRequests)> {
        let start = |target| {
            let spec = match target {
                Target::Gateway => self.gateway(),
                Target::Shard(shard) => self.shard(shard),
                Target::Facade => self.facade(),
            };
            Some((spec, requests.remove(&target)?))
        };
        targets.filter_map(start).collect()
    }

    fn spec(&self, name: String, arguments: Vec<OsString>, for_restarts: Vec<OsString>) -> Spec {
        Spec {
            name,
            program: self.program.clone(),
            arguments,
            for_restarts,
            answer_timeout: self.options.answer_timeout,
            environment: self.options.environment.clone(),
            is_quiet: self.options.is_quiet,
        }
    }

    fn gateway(&self) -> Spec {
        let mut arguments: Vec<OsString> = vec![
            "gateway".into(),
            format!("--listen={}", self.data.gateway_address()).into(),
            "--data".into(),
            self.data.gateway().into(),
        ];
        // A gateway without its memory would not know what it has said.
        let must_remember = "--require-payments";
        arguments.extend(self.data.has_payments().then(|| must_remember.into()));
        arguments.extend(self.options.common.iter().cloned());
        self.spec("gateway".into(), arguments, vec![must_remember.into()])
    }

    fn shard(&self, shard: u32) -> Spec {
        let shards = self.options.shards;
        let peers: Vec<_> = (0..shards).map(|shard| self.data.address(shard).to_string()).collect();
        let mut arguments: Vec<OsString> = vec![
            "shard".into(),
            format!("--index={shard}").into(),
            format!("--shards={shards}").into(),
            format!("--listen={}", self.data.address(shard)).into(),
            format!("--peers={}", peers.join(",")).into(),
            format!("--storage={}", self.options.storage).into(),
            format!("--store-id={}", self.data.store_id()).into(),
            format!("--catalog={}", self.data.catalog()).into(),
            match &self.options.payment {
                PaymentKind::Simulated => format!("--payment={}", self.data.gateway_address()).into(),
                PaymentKind::At(address) => format!("--payment={address}").into(),
            },
            "--data".into(),
            self.data.shard(shard).into(),
        ];
        if self.options.payment_insecure {
            arguments.push("--payment-insecure".into());
        }
        arguments.extend(self.options.common.iter().chain(&self.options.shard).cloned());
        // A shard without its data would begin a new store in its place.
        let must_have_data = self.data.keeps_data().then(|| OsString::from("--require-data"));
        arguments.extend(must_have_data.clone().filter(|_| self.data.was_ready()));
        self.spec(format!("shard {shard} of {shards}"), arguments, must_have_data.into_iter().collect())
    }

    fn facade(&self) -> Spec {
        let addresses: Vec<_> = (0..self.options.shards).map(|shard| self.data.address(shard).to_string()).collect();
        let mut arguments: Vec<OsString> = vec![
            "facade".into(),
            format!("--shards={}", addresses.join(",")).into(),
            format!("--kv={}", self.kv.address).into(),
            format!("--store-id={}", self.data.store_id()).into(),
            "--data".into(),
            self.data.path().into(),
        ];
        arguments.extend(self.http.iter().map(|port| format!("--http={}", port.address).into()));
        arguments.extend(self.options.common.iter().chain(&self.options.facade).cloned());
        // A key file that is gone must not keep carts from their customers, who need no key.
        self.spec("facade".into(), arguments, vec!["--restarted".into()])
    }

    fn say(&self, line: impl Display) {
        if !self.options.is_quiet {
            print(line);
        }
    }

    fn greet(&self) {
        let http: Vec<_> = self.http.iter().map(|port| url(port.address)).collect();
        let shop = http.first().cloned().unwrap_or_default();
        let variable = KEY_VARIABLES.iter().find(|variable| env::var_os(variable).is_some());
        let variable = variable.unwrap_or(&KEY_VARIABLES[0]);
        let key = if self.wants_key() { format!(" -H \"X-API-Key: ${variable}\"") } else { String::new() };
        self.say(format_args!("shop       {}", http.join("  ")));
        self.say(format_args!("pages      {shop}/  {shop}/shop"));
        self.say(format_args!("key-value  {}", url(self.kv.address)));
        self.say(format_args!("docs       {shop}/docs"));
        self.say(format_args!("data       {}", self.data.path().display()));
        self.options.notes.iter().for_each(|note| self.say(note));
        // Commands have their own lines, so that they are easy to copy.
        self.say("try");
        self.say(format_args!("  curl -s{key} -H 'Content-Type: application/json' \\"));
        self.say(format_args!("    -d '{{\"offeredPrice\": 12.10, \"itemCount\": 2}}' {shop}/item/alice/apple"));
        self.say(format_args!("  curl -s{key} {shop}/items/alice"));
        self.say("Ctrl-C stops it.");
    }

    /// True when the shop refuses a write without an API key.
    fn wants_key(&self) -> bool {
        let access = &self.options.access;
        let mut addresses = self.http.iter().chain([&self.kv]).map(|port| port.address.ip().to_canonical());
        access.require_key || access.guard_writes || (!access.open_writes && addresses.any(|ip| !ip.is_loopback()))
    }
}

/// The URL of a listener for clients on this machine, where a listener on all addresses is reached by loopback.
fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}
