//! A store in real processes: `shardcart launch` of this build, on free ports, stopped at the end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Result, procfs};

/// The time limit for a start, in which a million carts may be loaded from disk.
const READY_DEADLINE: Duration = Duration::from_secs(180);
/// The time limit for a stop, after which the store is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// The interval of the checks for a store that is ready or has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The time limit for one check of `/readyz`.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A running store: the launcher, its shards and its facade.
pub struct Store {
    launcher: Child,
    shards: u32,
    http: SocketAddr,
}

impl Store {
    /// Starts a store with its data in `data` and waits until every shard answers.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time.
    pub fn start(shards: u32, storage: &str, data: &Path) -> Result<Self> {
        Self::start_with(shards, storage, data, &["--catalog", "none"])
    }

    /// Starts a store with more options of the launcher.
    ///
    /// # Errors
    /// As for [`Store::start`].
    pub fn start_with(shards: u32, storage: &str, data: &Path, options: &[&str]) -> Result<Self> {
        let http = free_address()?;
        let launcher = Command::new(env!("CARGO_BIN_EXE_shardcart"))
            .arg("launch")
            .args(["--shards", &shards.to_string(), "--storage", storage])
            .args(["--http", &http.to_string(), "--kv", "127.0.0.1:0"])
            // Without it only root may read the memory that its processes take.
            .arg("--allow-core-dumps")
            .arg("--data")
            .arg(data)
            .args(options)
            .env("SHARDCART_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut store = Store { launcher, shards, http };
        wait_until_ready(&mut store.launcher, http)?;
        Ok(store)
    }

    /// The address of the facade.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The ids of all its processes, the launcher's first.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let launcher = self.launcher.id();
        let mut processes = vec![launcher];
        processes.extend(procfs::children(launcher)?);
        Ok(processes)
    }

    /// The ids of the shards' processes.
    ///
    /// # Errors
    /// When `/proc` cannot be read or a shard is missing.
    pub fn shards(&self) -> Result<Vec<u32>> {
        let mut shards = procfs::children(self.launcher.id())?;
        shards.retain(|&child| {
            procfs::arguments(child).is_ok_and(|arguments| arguments.iter().any(|argument| argument == "shard"))
        });
        if shards.len() != self.shards as usize {
            return Err(format!("{} shard processes run, not {}", shards.len(), self.shards).into());
        }
        Ok(shards)
    }

    /// Stops the store and waits until its launcher, which waits for the others, has ended.
    ///
    /// # Errors
    /// When it does not end in time or reports a failure. It has ended in any case.
    pub fn stop(mut self) -> Result<()> {
        end(&mut self.launcher)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if matches!(self.launcher.try_wait(), Ok(None))
            && let Err(error) = end(&mut self.launcher)
        {
            eprintln!("{error}");
        }
    }
}

/// Waits until the store behind a facade's address is ready; `process` must live until then.
///
/// # Errors
/// When the process ends, or the store is not ready in time.
pub fn wait_until_ready(process: &mut Child, http: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + READY_DEADLINE;
    while !is_ready(http) {
        if let Some(status) = process.try_wait()? {
            return Err(format!("a process ended before the store was ready: {status}").into());
        }
        if Instant::now() > deadline {
            return Err(format!("the store was not ready within {READY_DEADLINE:?}").into());
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Asks a process to end and waits until it has.
///
/// # Errors
/// When it does not end in time or reports a failure. It has ended in any case.
pub fn end(process: &mut Child) -> Result<()> {
    if process.try_wait()?.is_none() {
        kill_process(Pid::from_child(process), Signal::TERM)?;
    }
    let deadline = Instant::now() + STOP_DEADLINE;
    loop {
        match process.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("a process ended with {status}").into()),
            None if Instant::now() > deadline => {
                process.kill()?;
                process.wait()?;
                return Err(format!("a process did not stop within {STOP_DEADLINE:?}").into());
            }
            None => thread::sleep(POLL_INTERVAL),
        }
    }
}

/// An address on the loopback interface that was free at the call.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// True when `/readyz` answers 200. Any other answer or an error means that the store is not ready.
fn is_ready(address: SocketAddr) -> bool {
    let probe = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    probe().unwrap_or(false)
}
