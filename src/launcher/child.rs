//! One child process: starts it, prints its announcements, restarts it when it dies, and stops it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::crash::CrashRequests;
use super::restart::RestartDelay;
use super::silence::{LOOK_INTERVAL, Silence};
use crate::error::{Error, Result};
use crate::process::announce::Announcement;
use crate::process::logging::print;

/// The time limit for a child to end after SIGTERM, after which it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// The image of the process that names it: here of the launcher, since the path is looked up between fork and exec. A file
/// that replaced the launcher's own meanwhile is another version, which must not run beside this one.
const OWN_IMAGE: &str = "/proc/self/exe";

/// A child's name and command line.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The name for people, such as "shard 2 of 4".
    pub name: String,
    /// The name of the program in lists of processes. What runs is the launcher's own image.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// More arguments once it was ready.
    pub for_restarts: Vec<OsString>,
    /// A child that is silent for so long is restarted.
    pub answer_timeout: Duration,
    /// Variables beside those of the launcher.
    pub environment: Vec<(OsString, OsString)>,
    /// True to print nothing about it.
    pub is_quiet: bool,
}

impl Spec {
    fn say(&self, text: fmt::Arguments<'_>) {
        if !self.is_quiet {
            print(format_args!("{}: {text}", self.name));
        }
    }
}

/// The launcher's request to its children, from the mildest to the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopRequest {
    /// Run, and restart after an exit.
    None,
    /// Run, but stay down after an exit.
    DontRestart,
    /// Finish the accepted work, then end.
    Graceful,
    /// End at once.
    Kill,
}

/// Keeps a child running until it is asked to stop. Sends to `ready` when the child is ready for the first time.
///
/// # Errors
/// [`Error::Internal`] when the child cannot be started or dies before it is ready for the first time.
pub async fn keep_running(
    spec: Spec,
    ready: mpsc::Sender<()>,
    stop: watch::Receiver<StopRequest>,
    mut crashes: CrashRequests,
) -> Result<()> {
    let mut restart_delay = RestartDelay::default();
    let mut was_ready = false;
    loop {
        let started = Running::start(&spec, was_ready);
        let pid = started.as_ref().ok().and_then(Running::pid).map(Pid::as_raw_pid);
        let end = match started {
            Ok(mut running) => tokio::select! {
                end = running.listen(&spec, &ready, &mut was_ready, &mut crashes) => end,
                () = asked(&stop, StopRequest::Graceful) => {
                    running.end(&spec.name, &stop).await;
                    return Ok(());
                }
            },
            Err(error) => Err(error),
        };
        let end = end.map_or_else(|error| error.to_string(), |status| status.to_string());
        if !was_ready {
            return Err(Error::Internal(format!("{} could not be started: {end}", spec.name)));
        }
        if *stop.borrow() >= StopRequest::DontRestart {
            return Ok(());
        }
        let delay = restart_delay.next(Instant::now());
        tracing::warn!(child = %spec.name, pid, end, delay_ms = delay.as_millis() as u64, "child exited; restarting");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = asked(&stop, StopRequest::DontRestart) => return Ok(()),
        }
    }
}

/// Waits for a request that is at least as urgent as `least`.
async fn asked(stop: &watch::Receiver<StopRequest>, least: StopRequest) {
    if stop.clone().wait_for(|stop| *stop >= least).await.is_err() {
        // The launcher is gone and requests nothing more. Its children end when the pipe closes.
        std::future::pending::<()>().await;
    }
}

struct Running {
    child: Child,
    stdout: ChildStdout,
    /// Kept outside of the `Child`, whose `wait` would close it and so end the child.
    _parent_pipe: ChildStdin,
}

impl Running {
    fn start(spec: &Spec, is_restart: bool) -> io::Result<Self> {
        let mut child = Command::new(OWN_IMAGE)
            .arg0(&spec.program)
            .args(&spec.arguments)
            .args(spec.for_restarts.iter().filter(|_| is_restart))
            .envs(spec.environment.iter().cloned())
            .arg("--parent-pipe")
            // This end of the pipe closes with this process, however the process ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal must reach only the launcher, which then stops its children in order.
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

    /// Prints the child's announcements until it ends. A child that lives and does not answer is killed, and so is one
    /// that is ready and asked to crash.
    async fn listen(
        &mut self,
        spec: &Spec,
        ready: &mpsc::Sender<()>,
        was_ready: &mut bool,
        crashes: &mut CrashRequests,
    ) -> io::Result<ExitStatus> {
        let started = Instant::now();
        let mut silence = Silence::of(self.pid());
        let mut is_loading = true;
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lines = BufReader::new(&mut self.stdout).lines();
        loop {
            let line = tokio::select! {
                line = lines.next_line() => line,
                _ = looks.tick() => {
                    let silent = silence.look(is_loading);
                    if silent < spec.answer_timeout {
                        continue;
                    }
                    let silent_s = silent.as_secs();
                    tracing::error!(child = %spec.name, silent_s, "child lives but does not answer; killing");
                    self.child.start_kill()?;
                    break;
                }
                crash = crashes.next() => {
                    if is_loading {
                        let _ = crash.send(false);
                        continue;
                    }
                    self.child.start_kill()?;
                    // Whoever asked may have given up; the child is killed all the same.
                    let _ = crash.send(true);
                    break;
                }
            };
            let Ok(Some(line)) = line else { break };
            silence.end();
            match Announcement::parse(&line) {
                Some(Announcement::Progress { text }) => spec.say(format_args!("{text}")),
                Some(Announcement::Ready { .. }) => {
                    spec.say(format_args!("ready after {:.1} s", started.elapsed().as_secs_f64()));
                    is_loading = false;
                    // Sent only once, since the launcher counts the children that are ready.
                    if !std::mem::replace(was_ready, true) {
                        let _ = ready.try_send(());
                    }
                }
                Some(Announcement::Alive) | None => {}
            }
        }
        self.child.wait().await
    }

    async fn end(mut self, name: &str, stop: &watch::Receiver<StopRequest>) {
        if let Some(pid) = self.pid() {
            // An error means that it has already ended.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::select! {
            ended = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()) => ended.is_ok(),
            () = asked(stop, StopRequest::Kill) => false,
        };
        if !ended {
            tracing::warn!(child = name, "child did not end in time; killing");
            let _ = self.child.kill().await;
        }
    }
}
