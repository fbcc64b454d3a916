//! `launch --playground`: a store of its own, with shoppers in the launcher, who survive every crash of the facade.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::net::UnixListener;
use tokio::sync::watch;

use super::conditions;
use super::crowd::{Crowd, SHOPPERS};
use super::desk::Desk;
use super::directory::FreshDirectory;
use super::floor::{Floor, Patience};
use super::mode::GatewayControl;
use super::remote_store::RemoteStore;
use crate::access::Secret;
use crate::error::{Invalid, Result};
use crate::launcher::{self, RunningStore};
use crate::process::files::failed_to;
use crate::process::shutdown::Shutdown;
use crate::routing::Address;
use crate::storage::StorageKind;

/// The changes a second that shoppers begin with.
pub const DEFAULT_RATE: u32 = 50;
/// The name of the socket in the data directory.
const SOCKET_FILE: &str = "playground";
/// The permissions of the socket: whoever connects to it can kill processes.
const SOCKET_MODE: u32 = 0o600;

/// The options of a playground.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store's options. Its data directory is not used.
    pub store: launcher::Options,
    /// The data directory, which must not exist yet; without it one among the system's temporary files.
    pub data: Option<PathBuf>,
    /// True to leave the data directory at the end.
    pub is_kept: bool,
}

/// Runs a store with shoppers until a shutdown is requested.
///
/// # Errors
/// [`Invalid`](crate::error::Error::Invalid) for options that a playground cannot have; else those of [`launcher::run`].
pub fn run(options: Options, shutdown: Shutdown) -> Result<()> {
    let Options { mut store, data, is_kept } = options;
    let key = conditions::check(&store)?;
    if store.storage != StorageKind::Log {
        let reason = "a playground shows what survives crashes, and memory does not";
        return Err(Invalid::general(format!("--storage {}: {reason}", store.storage)).into());
    }
    let directory = FreshDirectory::make(data.as_deref(), is_kept)?;
    let socket = directory.path().join(SOCKET_FILE);
    directory.path().clone_into(&mut store.data);
    store.facade.push(format!("--playground={}", Address::Unix(socket.clone())).into());
    store.notes.push(format!(
        "playground {SHOPPERS} simulated shoppers, {DEFAULT_RATE} changes/s; its data is {} at the end",
        if is_kept { "kept" } else { "removed" }
    ));
    let ended = launcher::run_with_guest(&store, shutdown, |running, mut shutdown| async move {
        tokio::select! {
            ended = host(&running, &key, &socket) => ended,
            () = shutdown.wait() => Ok(()),
        }
    });
    ended?.unwrap_or(Ok(()))
}

/// Lets shoppers shop and answers the facade, for as long as it is polled.
async fn host(running: &RunningStore, key: &Secret, socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket).map_err(failed_to("listen on", socket))?;
    let private = Permissions::from_mode(SOCKET_MODE);
    fs::set_permissions(socket, private).map_err(failed_to("protect", socket))?;
    let store = RemoteStore::at(running.shop, key)?;
    let floor = Arc::new(Floor::new(store, SHOPPERS, Patience::default()));
    let (rate, wanted) = watch::channel(DEFAULT_RATE);
    let desk = Desk {
        floor: floor.clone(),
        rate,
        shoppers: SHOPPERS,
        began: Instant::now(),
        crashes: running.crashes.clone(),
        gateway: GatewayControl::of(&running.gateway)?,
    };
    let shop = async {
        match Crowd::gather(floor, SHOPPERS, fastrand::u64(..)).await {
            Some(mut crowd) => crowd.shop(&wanted, std::future::pending()).await,
            None => tracing::error!("the store refuses the shoppers' products, so nobody shops"),
        }
    };
    tokio::join!(Arc::new(desk).serve(listener), shop);
    Ok(())
}
