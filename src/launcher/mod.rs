//! Starts N shards and a facade as child processes, restarts what dies, stops all of it cleanly.

mod catalog;
mod child;
mod preflight;
mod restart;

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::access::{self, Access};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::process::shutdown::Shutdown;
use crate::storage::StorageKind;
use child::{Spec, Stop, keep_running, say};
use preflight::{DataDirectory, Port};

pub use preflight::MAX_SHARDS;

/// How to launch a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many shards.
    pub shards: u32,
    /// Where the shop listens.
    pub http: Vec<SocketAddr>,
    /// Where the key-value API listens.
    pub kv: SocketAddr,
    /// Where the data is; made when missing.
    pub data: PathBuf,
    /// What keeps the records.
    pub storage: StorageKind,
    /// What a fresh store is filled with.
    pub catalog: Catalog,
    /// Who may come in; the facade gets the same as arguments.
    pub access: access::Settings,
    /// Arguments for every child, as of logs.
    pub common: Vec<OsString>,
    /// More arguments for the shards.
    pub shard: Vec<OsString>,
    /// More arguments for the facade.
    pub facade: Vec<OsString>,
}

/// Runs a store until a shutdown is asked for.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Fault`] when something cannot be used or a child cannot be started;
/// nothing is left running.
pub fn run(options: &Options, shutdown: Shutdown) -> Result<()> {
    // The facade would refuse too, but only when everything else runs.
    Access::open(&options.access, options.http.iter().copied().chain([options.kv]))?;
    // The ports first: a refusal must not leave behind a data directory with a layout of its own.
    let http = options.http.iter().map(|address| Port::reserve(*address)).collect::<Result<Vec<_>>>()?;
    let kv = Port::reserve(options.kv)?;
    let is_stopped = || shutdown.is_requested();
    let data = DataDirectory::open(&options.data, options.shards, options.storage, &options.catalog, &is_stopped)?;
    let program = env::current_exe().map_err(|error| Error::Fault(format!("cannot find this program: {error}")))?;
    let store = Store { options, program, data, http, kv };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Fault(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(store.supervise(shutdown))
}

struct Store<'a> {
    options: &'a Options,
    program: PathBuf,
    data: DataDirectory,
    http: Vec<Port>,
    kv: Port,
}

/// Children that are started and stopped together.
struct Group {
    tasks: JoinSet<Result<()>>,
    stop: watch::Sender<Stop>,
}

impl Group {
    /// Starts children and waits until each is ready; false when a shutdown came first.
    async fn start(specs: Vec<Spec>, shutdown: &mut Shutdown) -> (Self, Result<bool>) {
        let (ready, mut waiting) = mpsc::channel(specs.len());
        let mut group = Group { tasks: JoinSet::new(), stop: watch::Sender::new(Stop::No) };
        let mut missing = specs.len();
        for spec in specs {
            group.tasks.spawn(keep_running(spec, ready.clone(), group.stop.subscribe()));
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

    /// Waits for a child that cannot be kept running.
    async fn failed(&mut self) -> Error {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(error) => return Error::Fault(format!("a task failed: {error}")),
            }
        }
        std::future::pending().await
    }

    /// Stops all children; another request for a shutdown makes it quick.
    async fn stop(mut self, shutdown: &mut Shutdown) {
        self.stop.send_replace(Stop::Orderly);
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => if ended.is_none() { return },
                () = shutdown.wait_for_another(), if *self.stop.borrow() != Stop::AtOnce => {
                    self.stop.send_replace(Stop::AtOnce);
                }
            }
        }
    }
}

impl Store<'_> {
    async fn supervise(&self, mut shutdown: Shutdown) -> Result<()> {
        let specs = (0..self.options.shards).map(|shard| self.shard(shard)).collect();
        let (mut shards, started) = Group::start(specs, &mut shutdown).await;
        if !matches!(started, Ok(true)) {
            shards.stop(&mut shutdown).await;
            return started.map(drop);
        }
        self.data.filled()?;
        let (mut facade, started) = Group::start(vec![self.facade()], &mut shutdown).await;
        let result = match started {
            Ok(true) => {
                self.greet();
                tokio::select! {
                    error = shards.failed() => Err(error),
                    error = facade.failed() => Err(error),
                    () = shutdown.wait() => Ok(()),
                }
            }
            other => other.map(drop),
        };
        say("stopping");
        shards.stop.send_replace(Stop::Soon);
        facade.stop(&mut shutdown).await;
        shards.stop(&mut shutdown).await;
        result
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
            "--data".into(),
            self.data.shard(shard).into(),
        ];
        arguments.extend(self.options.common.iter().chain(&self.options.shard).cloned());
        Spec { name: format!("shard {shard} of {shards}"), program: self.program.clone(), arguments }
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
        Spec { name: "facade".into(), program: self.program.clone(), arguments }
    }

    fn greet(&self) {
        let http: Vec<_> = self.http.iter().map(|port| url(port.address)).collect();
        let shop = http.first().cloned().unwrap_or_default();
        say(&format!("shop       {}", http.join("  ")));
        say(&format!("key-value  {}", url(self.kv.address)));
        say(&format!("data       {}", self.data.path().display()));
        say("try        curl -s -H 'Content-Type: application/json' \\");
        say(&format!("             -d '{{\"offeredPrice\": 12.10, \"itemCount\": 2}}' {shop}/item/alice/apple"));
        say(&format!("           curl -s {shop}/items/alice"));
        say("Ctrl-C stops it.");
    }
}

/// Where to reach a listener from this machine: one on all addresses is not an address to connect to.
fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}
