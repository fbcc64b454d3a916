//! The service that people would build instead, in processes of its own: axum in front of
//! `redis-server` on a Unix socket, one Lua script a change, carts as hashes.
//!
//! The axum process is the parent of `redis-server` and kills it by its id when it ends. It ends
//! when its standard input does, so neither outlives the benchmark, however that ends.

mod cart;
mod server;
mod service;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use shardcart::process::shutdown::Shutdown;

use crate::harness::Result;
use crate::role::RoleProcess;
use server::RedisServer;
pub use server::installed_version;

/// The first argument of the process that is the service.
const ROLE_ARGUMENT: &str = "redis-service";
/// The argument for writes that are synced, and that for none on disk.
const SYNCED: [&str; 2] = ["memory", "synced"];

/// A running service; it ends when this is dropped, or when this process ends.
pub struct RedisService {
    process: RoleProcess,
    redis: u32,
    address: SocketAddr,
}

impl RedisService {
    /// Starts it with Redis' files in `data`; `synced`: every change is on disk before its answer.
    ///
    /// # Errors
    /// When a process cannot be started or does not say where it listens.
    pub fn start(data: &Path, synced: bool) -> Result<Self> {
        let arguments = [ROLE_ARGUMENT.as_ref(), SYNCED[usize::from(synced)].as_ref(), data.as_os_str()];
        let (process, line) = RoleProcess::start(arguments)?;
        let (address, redis) = read_ready_line(&line).ok_or_else(|| format!("the service over Redis said `{line}`"))?;
        Ok(RedisService { process, redis, address })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The axum process and `redis-server`.
    pub fn processes(&self) -> [u32; 2] {
        [self.process.id(), self.redis]
    }
}

/// What [`Role::run`] prints: the address and the id of `redis-server`.
fn read_ready_line(line: &str) -> Option<(SocketAddr, u32)> {
    let (address, redis) = line.split_once(' ')?;
    Some((address.parse().ok()?, redis.parse().ok()?))
}

/// This process as the service.
pub struct Role {
    synced: bool,
    data: PathBuf,
}

impl Role {
    /// The role, when the arguments ask for it.
    pub fn of(arguments: &[String]) -> Option<Self> {
        let [_, role, storage, data] = arguments else { return None };
        (role == ROLE_ARGUMENT).then(|| Role { synced: storage == SYNCED[1], data: data.into() })
    }

    /// Serves until standard input ends or a signal asks for the end.
    ///
    /// # Errors
    /// When Redis cannot be started or nobody can be served.
    pub fn run(self) -> Result<()> {
        let mut shutdown = Shutdown::on_signals(true)?;
        let redis = RedisServer::start(&self.data, self.synced, &shutdown)?;
        let (socket, id) = (redis.socket(), redis.id());
        tokio::runtime::Runtime::new()?.block_on(async {
            tokio::select! {
                ended = service::serve(&socket, |address| println!("{address} {id}")) => ended,
                () = shutdown.wait() => Ok(()),
            }
        })
    }
}
