//! One `shardcart` process, which tests start, kill and pause. Its log is shown when a test fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use shardcart::access::KEY_VARIABLES;

use super::{DEADLINE, eventually, expect_logged};

/// The number of the last lines of a log that are shown when a test fails.
const SHOWN_LINES: usize = 40;

/// A running process; it is killed when this is dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ready: String,
    /// The process ends when this is closed, so that it does not outlive a test that is itself killed.
    _parent_pipe: ChildStdin,
}

impl Process {
    /// Starts `shardcart ARGS` and waits until it is ready.
    pub fn start(name: &str, logs: &Path, args: &[String]) -> Self {
        Self::start_in(name, logs, args, &[])
    }

    /// The same with more variables in its environment.
    pub fn start_in(name: &str, logs: &Path, args: &[String], environment: &[(String, String)]) -> Self {
        match Self::try_start_in(name, logs, args, environment) {
            Ok(process) => process,
            Err((status, log)) => panic!("{name} ended with {status} before it was ready; its log:\n{log}"),
        }
    }

    /// Starts a process that may refuse to run. The error has its exit status and its log.
    pub fn try_start(name: &str, logs: &Path, args: &[String]) -> Result<Self, (ExitStatus, String)> {
        Self::try_start_in(name, logs, args, &[])
    }

    /// The same with more variables in its environment.
    pub fn try_start_in(
        name: &str,
        logs: &Path,
        args: &[String],
        environment: &[(String, String)],
    ) -> Result<Self, (ExitStatus, String)> {
        let log = logs.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the log can be made");
        let mut child = Command::new(env!("CARGO_BIN_EXE_shardcart"))
            .args(args)
            .arg("--parent-pipe")
            // Variables of the environment that runs the tests must not affect them.
            .env_remove(KEY_VARIABLES[0])
            .env_remove(KEY_VARIABLES[1])
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the program can be started");
        let parent_pipe = child.stdin.take().expect("stdin is a pipe");
        let lines = read_lines(&mut child);
        let mut process = Process { name: name.into(), child, log, ready: String::new(), _parent_pipe: parent_pipe };
        let started = Instant::now();
        loop {
            match lines.recv_timeout(DEADLINE.saturating_sub(started.elapsed())) {
                Ok(line) => match line.strip_prefix("ready ") {
                    Some(ready) => {
                        process.ready = ready.to_owned();
                        return Ok(process);
                    }
                    None => assert!(line.starts_with("progress "), "{name} printed {line:?}"),
                },
                Err(RecvTimeoutError::Disconnected) => return Err((process.wait(), process.log())),
                Err(RecvTimeoutError::Timeout) => panic!("{name} is not ready after {DEADLINE:?}"),
            }
        }
    }

    /// The text that it printed after `ready`.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Waits until the log has a text, and asserts that it has it so many times. Lines are written soon, not at once.
    #[track_caller]
    pub fn expect_logged(&self, text: &str, times: usize) {
        expect_logged(|| self.log(), text, times);
    }

    /// The flags with which it has files open whose path ends like this, as `open` takes them.
    pub fn open_flags(&self, ending: &str) -> Vec<(PathBuf, u32)> {
        let directory = PathBuf::from(format!("/proc/{}", self.child.id()));
        let descriptors = std::fs::read_dir(directory.join("fd")).expect("our own child can be looked at");
        let flags_of = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            let path = std::fs::read_link(entry.path()).ok()?;
            let info = std::fs::read_to_string(directory.join("fdinfo").join(entry.file_name())).ok()?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            Some((path, u32::from_str_radix(flags.trim(), 8).ok()?))
        };
        descriptors.filter_map(flags_of).filter(|(path, _)| path.to_string_lossy().ends_with(ending)).collect()
    }

    /// Ends it with SIGKILL, which it cannot notice.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Asks the process to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.end_with(Signal::TERM)
    }

    /// Sends it a signal, and waits until it has ended.
    pub fn end_with(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Stops it from running, without closing its sockets. Nothing of it runs any more then.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        // The state is the first letter behind the name, which is in brackets.
        let is_stopped = |stat: String| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z']));
        eventually("it is stopped", || {
            let mut tasks = fs::read_dir(&tasks).expect("our own child is there").filter_map(Result::ok);
            // A task that has ended in the meantime does not run either.
            tasks.all(|task| fs::read_to_string(task.path().join("stat")).map_or(true, is_stopped)).then_some(())
        });
    }

    /// Lets it run again.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal to a process that has not been waited for.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our own child can be signalled");
    }

    /// True once it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child can be waited for").is_some()
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        eventually(&format!("{name} ends"), || self.child.try_wait().expect("our own child can be waited for"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- the end of the log of {} ---\n{}", self.name, last.join("\n"));
        }
    }
}

/// Sends the lines of stdout to the receiver. It reads to the end, so that the process never blocks on stdout.
fn read_lines(child: &mut Child) -> Receiver<String> {
    let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // An error means that the receiver is gone, which it is after `ready`.
            let _ = sender.send(line);
        }
    });
    lines
}
