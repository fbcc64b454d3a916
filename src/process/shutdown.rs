//! Requests to end the process: SIGTERM, SIGINT, SIGHUP, or the death of the launcher that started it.

use std::fs;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The time that a process lives on after the pipe from its launcher has closed.
const ORPHAN_LIFETIME: Duration = Duration::from_millis(400);

/// The request to end, shared by every thread and runtime of the process.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requests: watch::Receiver<u32>,
    has_parent: bool,
}

impl Shutdown {
    /// Listens for SIGTERM, SIGINT and, unless it is ignored as under `nohup`, SIGHUP from now on. With `parent_pipe`, standard input is a pipe from a launcher. When
    /// the pipe closes, a shutdown is requested, and after 400 ms the process exits whatever it is doing.
    ///
    /// # Errors
    /// When signals cannot be handled or a thread cannot be started.
    pub fn on_signals(parent_pipe: bool) -> io::Result<Self> {
        let (requests, shutdown) = watch::channel(0);
        if parent_pipe {
            let requests = requests.clone();
            thread::Builder::new().name("parent-pipe".into()).spawn(move || end_with_parent(&requests))?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut terminate, mut interrupt, mut hangup) = {
            let _context = runtime.enter();
            let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, hangup)
        };
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                        _ = next_of(&mut hangup) => {}
                    }
                    requests.send_modify(|count| *count += 1);
                }
            });
        })?;
        Ok(Shutdown { requests: shutdown, has_parent: parent_pipe })
    }

    /// One that is never requested.
    #[cfg(test)]
    pub fn never() -> Self {
        Shutdown { requests: watch::channel(0).1, has_parent: false }
    }

    /// True when a launcher has started the process.
    pub fn has_parent(&self) -> bool {
        self.has_parent
    }

    /// True once a shutdown was requested.
    pub fn is_requested(&self) -> bool {
        *self.requests.borrow() > 0
    }

    /// Waits until a shutdown is requested.
    pub async fn wait(&mut self) {
        self.wait_for_request(1).await;
    }

    /// Waits until a shutdown is requested a second time: the user does not want to wait.
    pub async fn wait_for_another(&mut self) {
        self.wait_for_request(2).await;
    }

    async fn wait_for_request(&mut self, number: u32) {
        if self.requests.wait_for(|count| *count >= number).await.is_err() {
            // The senders are gone, so no request can come.
            std::future::pending::<()>().await;
        }
    }
}

/// True when SIGHUP is ignored: its number is the lowest bit of the mask.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

async fn next_of(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

fn end_with_parent(requests: &watch::Sender<u32>) {
    let mut byte = [0];
    loop {
        match io::stdin().lock().read(&mut byte) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    requests.send_modify(|count| *count += 1);
    thread::sleep(ORPHAN_LIFETIME);
    super::logging::finish();
    std::process::exit(0);
}
