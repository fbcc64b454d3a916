//! One child process: started, listened to, started again when it dies, stopped.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};

use super::restart::Deaths;
use crate::error::{Error, Result};

/// How long a child may take to end after SIGTERM; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// What a child is.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What people call it, as "shard 2 of 4".
    pub name: String,
    /// The program: the launcher's own, as it was found when that was started.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// How a launcher asks its children to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// Not yet; but what ends now stays down.
    Soon,
    /// In an orderly way.
    Orderly,
    /// At once.
    AtOnce,
}

/// Keeps a child running until it is asked to stop. Each time it is ready, its name goes to `ready`.
///
/// # Errors
/// [`Error::Fault`] when the child cannot be started, or dies, before it was ready for the first time.
pub async fn keep_running(spec: Spec, ready: mpsc::Sender<String>, stop: watch::Receiver<Stop>) -> Result<()> {
    let mut deaths = Deaths::default();
    let mut was_ready = false;
    loop {
        let started = Running::start(&spec);
        let pid = started.as_ref().ok().and_then(Running::pid).map(Pid::as_raw_pid);
        let end = match started {
            Ok(mut running) => tokio::select! {
                end = running.listen(&spec.name, &ready, &mut was_ready) => end,
                () = asked(&stop, Stop::Orderly) => {
                    running.end(&spec.name, &stop).await;
                    return Ok(());
                }
            },
            Err(error) => Err(error),
        };
        let end = end.map_or_else(|error| error.to_string(), |status| status.to_string());
        if !was_ready {
            return Err(Error::Fault(format!("{} could not be started: {end}", spec.name)));
        }
        if *stop.borrow() >= Stop::Soon {
            return Ok(());
        }
        let delay = deaths.next_delay(Instant::now());
        tracing::warn!(child = %spec.name, pid, end, delay_ms = delay.as_millis() as u64, "died and is started again");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = asked(&stop, Stop::Soon) => return Ok(()),
        }
    }
}

/// Waits until a stop at least so urgent is asked for.
async fn asked(stop: &watch::Receiver<Stop>, least: Stop) {
    if stop.clone().wait_for(|stop| *stop >= least).await.is_err() {
        // A launcher that is gone asks for nothing; its children end by the pipe.
        std::future::pending::<()>().await;
    }
}

struct Running {
    child: Child,
    stdout: ChildStdout,
    /// Held apart from the child: `Child::wait` would close it, which tells the child to end.
    _parent_pipe: ChildStdin,
}

impl Running {
    fn start(spec: &Spec) -> io::Result<Self> {
        let mut child = Command::new(&spec.program)
            .args(&spec.arguments)
            .arg("--parent-pipe")
            // The pipe's other end closes with this process, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A terminal's Ctrl-C reaches the launcher alone, which then stops its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(parent_pipe), Some(stdout)) => Ok(Running { child, stdout, _parent_pipe: parent_pipe }),
            _ => Err(io::Error::other("it has no pipes")),
        }
    }

    /// `None` once it has ended.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
    }

    /// Passes on what the child says until it ends.
    async fn listen(
        &mut self,
        name: &str,
        ready: &mpsc::Sender<String>,
        was_ready: &mut bool,
    ) -> io::Result<ExitStatus> {
        let started = Instant::now();
        let mut lines = BufReader::new(&mut self.stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(progress) = line.strip_prefix("progress ") {
                say(&format!("{name}: {progress}"));
            } else if line.starts_with("ready ") {
                say(&format!("{name}: ready after {:.1} s", started.elapsed().as_secs_f64()));
                // Once only: the launcher counts how many have been.
                if !std::mem::replace(was_ready, true) {
                    let _ = ready.try_send(name.to_owned());
                }
            }
        }
        self.child.wait().await
    }

    async fn end(mut self, name: &str, stop: &watch::Receiver<Stop>) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::select! {
            ended = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()) => ended.is_ok(),
            () = asked(stop, Stop::AtOnce) => false,
        };
        if !ended {
            tracing::warn!(child = name, "did not end in time and is killed");
            let _ = self.child.kill().await;
        }
    }
}

/// Prints a line. Nobody may be reading; that is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
