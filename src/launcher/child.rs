//! One child process: started, listened to, started again when it dies, stopped.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
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
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// How a launcher asks its children to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// In an orderly way.
    Orderly,
    /// At once.
    AtOnce,
}

/// Keeps a child running until it is asked to stop. Each time it is ready, its name goes to `ready`.
///
/// # Errors
/// [`Error::Fault`] when the child cannot be started, or dies before it was ready for the first time.
pub async fn keep_running(spec: Spec, ready: mpsc::Sender<String>, stop: watch::Receiver<Stop>) -> Result<()> {
    let mut deaths = Deaths::default();
    let mut was_ready = false;
    loop {
        let mut child = start(&spec)?;
        let pid = child.id();
        let stdout = child.stdout.take().ok_or_else(|| Error::Fault(format!("{}: no output", spec.name)))?;
        let mut lines = BufReader::new(stdout).lines();
        let status = tokio::select! {
            status = listen(&spec, &mut child, &mut lines, &ready, &mut was_ready) => status?,
            () = asked(&stop, Stop::Orderly) => return end(&spec, child, &stop).await,
        };
        if !was_ready {
            return Err(Error::Fault(format!("{} could not be started: {status}", spec.name)));
        }
        let delay = deaths.next_delay(Instant::now());
        tracing::warn!(child = %spec.name, pid, %status, delay_ms = delay.as_millis() as u64, "died and is started again");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = asked(&stop, Stop::Orderly) => return Ok(()),
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

fn start(spec: &Spec) -> Result<Child> {
    let failed = |error: std::io::Error| Error::Fault(format!("{} could not be started: {error}", spec.name));
    let program = std::env::current_exe().map_err(failed)?;
    Command::new(program)
        .args(&spec.arguments)
        .arg("--parent-pipe")
        // The pipe's other end closes with this process, however that ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A terminal's Ctrl-C reaches the launcher alone, which then stops its children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)
}

/// Passes on what a child says until it ends.
async fn listen(
    spec: &Spec,
    child: &mut Child,
    lines: &mut Lines<BufReader<ChildStdout>>,
    ready: &mpsc::Sender<String>,
    was_ready: &mut bool,
) -> Result<ExitStatus> {
    let started = Instant::now();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(progress) = line.strip_prefix("progress ") {
            say(&format!("{}: {progress}", spec.name));
        } else if line.starts_with("ready ") {
            say(&format!("{}: ready after {:.1} s", spec.name, started.elapsed().as_secs_f64()));
            *was_ready = true;
            // The launcher listens only while it starts.
            let _ = ready.try_send(spec.name.clone());
        }
    }
    child.wait().await.map_err(|error| Error::Fault(format!("{} cannot be waited for: {error}", spec.name)))
}

async fn end(spec: &Spec, mut child: Child, stop: &watch::Receiver<Stop>) -> Result<()> {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        // It may have ended by itself already.
        let _ = kill_process(pid, Signal::TERM);
    }
    let ended = tokio::select! {
        ended = tokio::time::timeout(STOP_TIMEOUT, child.wait()) => ended.is_ok(),
        () = asked(stop, Stop::AtOnce) => false,
    };
    if !ended {
        tracing::warn!(child = %spec.name, "did not end in time and is killed");
        let _ = child.kill().await;
    }
    Ok(())
}

/// Prints a line. Nobody may be reading; that is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
