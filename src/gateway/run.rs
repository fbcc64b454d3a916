//! Starts the gateway: locks its data directory, opens its ledger, listens, and serves until it is asked to end.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ledger::Ledger;
use super::server::Gateway;
use crate::error::{Error, Invalid, Result};
use crate::process::files::{self, failed_to, make_directory};
use crate::process::heartbeat::Heartbeat;
use crate::process::shutdown::Shutdown;
use crate::process::unix_socket::UnixSocket;
use crate::process::{announce, descriptors};
use crate::routing::Address;

/// The most connections. More wait until one is closed.
const MAX_CONNECTIONS: usize = 800;
/// The file descriptors that are kept for all else: the ledger, the heartbeat, the runtime.
const RESERVED_DESCRIPTORS: u64 = 192;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The time for the head of a request, and for an idle connection; clients close theirs earlier.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause after a failed accept, for example when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The time that requests under way have to finish after a shutdown was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest wait for the lock of the data directory, which a process that is ending may still hold.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// The permissions of the lock file, less the umask.
const LOCK_MODE: u32 = 0o666;

const LOCK_FILE: &str = "lock";
const LEDGER_DIRECTORY: &str = "payments";

/// The options of a gateway process.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on, on this machine only.
    pub listen: Address,
    /// The data directory, which is created when missing.
    pub data: PathBuf,
    /// True when the directory must have payments: a gateway that lost them must not start as if there were none.
    pub require_payments: bool,
}

/// Runs a gateway until a shutdown is requested.
///
/// # Errors
/// [`Error::Invalid`] for an address that other machines can reach; [`Error::Internal`] when the data or the address
/// cannot be used.
pub fn run(options: &Options, shutdown: Shutdown) -> Result<()> {
    let connections = descriptors::possible_connections(MAX_CONNECTIONS, RESERVED_DESCRIPTORS);
    let data = &options.data;
    let payments = data.join(LEDGER_DIRECTORY);
    if options.require_payments && !Ledger::is_in(&payments) {
        return Err(Error::Internal(format!(
            "{}: the payments of the simulated gateway are missing; restore them from a backup",
            payments.display()
        )));
    }
    make_directory(data).map_err(failed_to("make", data))?;
    files::warn_if_open(data);
    let in_use = || Error::Internal(format!("{}: another process uses this directory", data.display()));
    let _lock = files::lock(&data.join(LOCK_FILE), LOCK_MODE, LOCK_TIMEOUT)?.ok_or_else(in_use)?;
    let (ledger, thread) = Ledger::open(&payments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let listener = Listener::bind(&options.listen)?;
        announce::ready(listener.address(&options.listen)?);
        Heartbeat::of(1).start(0, &shutdown);
        listener.serve(Arc::new(Gateway::new(ledger)), connections, shutdown).await;
        Ok::<_, Error>(())
    })?;
    // Requests that are held have clones of the ledger, so they end first.
    drop(runtime);
    thread.join().map_err(|_| Error::Internal("the ledger failed".into()))
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Listener {
    fn bind(address: &Address) -> Result<Self> {
        let fault = |error: std::io::Error| Error::Internal(format!("cannot listen on {address}: {error}"));
        match address {
            Address::Tcp(text) => {
                let addresses: Vec<SocketAddr> = text.to_socket_addrs().map_err(fault)?.collect();
                if !addresses.iter().all(|address| address.ip().is_loopback()) {
                    let refusal = "the simulated gateway has no keys, so it listens on loopback or a Unix socket only";
                    return Err(Invalid::general(format!("--listen {address}: {refusal}")).into());
                }
                let listener = std::net::TcpListener::bind(addresses.as_slice()).map_err(fault)?;
                listener.set_nonblocking(true).map_err(fault)?;
                Ok(Listener::Tcp(TcpListener::from_std(listener).map_err(fault)?))
            }
            // The caller holds the lock of the data directory, so nothing else listens there.
            Address::Unix(path) => Ok(Listener::Unix(UnixSocket::bind(path).map_err(fault)?)),
        }
    }

    /// The bound address, with the port that the operating system chose for port 0.
    fn address(&self, asked: &Address) -> Result<Address> {
        match self {
            Listener::Tcp(listener) => {
                let bound = listener.local_addr().map_err(|error| Error::Internal(format!("no address: {error}")))?;
                Ok(Address::Tcp(bound.to_string()))
            }
            Listener::Unix(_) => Ok(asked.clone()),
        }
    }

    async fn serve(mut self, gateway: Arc<Gateway>, connections: usize, mut shutdown: Shutdown) {
        let graceful = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(connections));
        // The permit comes first: what is not accepted waits in the operating system's queue.
        while let Ok(permit) = permits.clone().acquire_owned().await {
            let accepted = async {
                match &mut self {
                    Listener::Tcp(listener) => {
                        let (stream, _) = listener.accept().await?;
                        stream.set_nodelay(true)?;
                        serve_connection(stream, &gateway, &graceful, permit);
                    }
                    Listener::Unix(listener) => {
                        let stream = listener.accept().await?;
                        serve_connection(stream, &gateway, &graceful, permit);
                    }
                }
                Ok::<_, std::io::Error>(())
            };
            tokio::select! {
                accepted = accepted => if let Err(error) = accepted {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                },
                () = shutdown.wait() => break,
            }
        }
        if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::debug!("requests were cut off: they took too long to finish");
        }
    }
}

fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    gateway: &Arc<Gateway>,
    graceful: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    let gateway = gateway.clone();
    let service = service_fn(move |request: Request<Incoming>| gateway.clone().answer(request));
    let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
}
