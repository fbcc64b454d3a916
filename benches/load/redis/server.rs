//! `redis-server` as a child process: on a Unix socket, with nothing on disk, or with every change
//! synced before it is acknowledged.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use shardcart::process::shutdown::Shutdown;
use tempfile::TempDir;

use crate::harness::Result;

/// The program, looked for on the PATH.
const PROGRAM: &str = "redis-server";
/// How long it may take until it listens.
const READY_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The version of the installed `redis-server`.
///
/// # Errors
/// When there is none: the reason, for people.
pub fn installed_version() -> std::result::Result<String, &'static str> {
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output();
    let text = output.map_err(|_| "redis-server is not on the PATH")?.stdout;
    let text = String::from_utf8_lossy(&text);
    let version = text.split(' ').find_map(|word| word.strip_prefix("v="));
    version.map(str::to_owned).ok_or("redis-server does not tell its version")
}

/// A running `redis-server`; it is killed when this is dropped, as its data are of no more use.
pub struct RedisServer {
    child: Child,
    /// Has the socket. It is not in the data directory, whose path may be longer than a socket's may.
    directory: TempDir,
}

impl RedisServer {
    /// Starts it with its files in `data`; `synced`: every change is on disk before its answer.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not listen in time, or when a shutdown is asked for.
    pub fn start(data: &Path, synced: bool, shutdown: &Shutdown) -> Result<Self> {
        let directory = TempDir::new()?;
        let log = data.join("redis.log");
        let mut command = Command::new(PROGRAM);
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(socket_in(directory.path()));
        command.arg("--dir").arg(data).arg("--logfile").arg(&log);
        if synced {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        } else {
            command.args(["--appendonly", "no"]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = RedisServer { child, directory };
        server.wait_until_ready(shutdown).map_err(|error| describe(error, &log))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.directory.path())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&mut self, shutdown: &Shutdown) -> Result<()> {
        let deadline = Instant::now() + READY_DEADLINE;
        while UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{PROGRAM} ended before it was ready: {status}").into());
            }
            if shutdown.is_requested() {
                return Err("a shutdown was asked for".into());
            }
            if Instant::now() > deadline {
                return Err(format!("{PROGRAM} was not ready within {READY_DEADLINE:?}").into());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("{PROGRAM} could not be ended: {error}");
        }
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}

/// An error with what the server has logged.
fn describe(error: crate::harness::Failure, log: &Path) -> io::Error {
    let logged = fs::read_to_string(log).unwrap_or_default();
    io::Error::other(format!("{error}\n{logged}"))
}
