//! A store whose shards are on TCP ports of the loopback interface, as on machines of their own. The launcher puts them on
//! Unix sockets, so shards and facade are started one by one.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::Result;
use crate::harness::store::{end, wait_until_ready};

/// Nothing is paid here, so nothing has to listen.
const NO_GATEWAY: &str = "http://127.0.0.1:1/";

/// A running store: a facade and its shards.
pub struct TcpStore {
    /// The facade first, so that it ends before its shards.
    processes: Vec<Child>,
    http: SocketAddr,
}

impl TcpStore {
    /// Starts a store with its data in `data` and waits until every shard answers.
    ///
    /// # Errors
    /// When it cannot be started, its facade ends, or it is not ready in time.
    pub fn start(shards: u32, storage: &str, data: &Path) -> Result<Self> {
        let (http, addresses) = free_addresses(shards)?;
        let list = addresses.join(",");
        let facade = spawn(&["facade", "--http", &http.to_string(), "--shards", &list])?;
        let mut store = TcpStore { processes: vec![facade], http };
        for (index, address) in addresses.iter().enumerate() {
            let directory = data.join(format!("shard-{index}"));
            let (index, shards) = (index.to_string(), shards.to_string());
            let shard = ["shard", "--index", &index, "--shards", &shards, "--listen", address, "--peers", &list];
            let common = ["--storage", storage, "--catalog", "none", "--payment", NO_GATEWAY, "--data"];
            let arguments = shard.iter().chain(&common).map(OsStr::new).chain([directory.as_os_str()]);
            store.processes.push(spawn(&arguments.collect::<Vec<_>>())?);
        }
        wait_until_ready(&mut store.processes[0], http)?;
        Ok(store)
    }

    /// The address of the facade.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The ids of its processes.
    pub fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }

    /// Stops all processes.
    ///
    /// # Errors
    /// When one does not end in time or reports a failure.
    pub fn stop(mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(end)
    }
}

impl Drop for TcpStore {
    fn drop(&mut self) {
        for process in &mut self.processes {
            if matches!(process.try_wait(), Ok(None))
                && let Err(error) = end(process)
            {
                eprintln!("{error}");
            }
        }
    }
}

/// The address of a facade and those of its shards, all free at the call.
fn free_addresses(shards: u32) -> Result<(SocketAddr, Vec<String>)> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let facade = bind()?;
    // Bound at the same time, so that no two are the same.
    let shards = (0..shards).map(|_| bind()).collect::<std::io::Result<Vec<_>>>()?;
    let addresses = shards.iter().map(|listener| Ok(listener.local_addr()?.to_string()));
    Ok((facade.local_addr()?, addresses.collect::<Result<_>>()?))
}

fn spawn(arguments: &[impl AsRef<OsStr>]) -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardcart"));
    command.args(arguments).env("SHARDCART_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command.spawn()?)
}
