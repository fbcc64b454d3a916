//! A launcher in a test: its output, its log, its children, and the end of all of them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use shardcart::access::KEY_VARIABLES;

use super::{eventually, expect_logged};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_shardcart");
/// A port that the operating system chooses.
pub const ANY_PORT: &str = "127.0.0.1:0";
/// The number of shards that most launchers start.
pub const SHARDS: &str = "2";

/// A running launcher. It is killed when this is dropped, and its children end with it.
pub struct Launcher {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
}

/// A child process, as `/proc` describes it.
pub struct Role {
    pub pid: Pid,
    pub arguments: String,
}

impl Launcher {
    pub fn spawn(program: &Path, directory: &Path, options: &[&str]) -> Self {
        let file = File::options().create(true).append(true).open(directory.join("launcher.log")).unwrap();
        Self::spawn_logging(program, directory, options, file, &[])
    }

    /// The same with another stderr, and with more variables in its environment.
    pub fn spawn_logging(
        program: &Path,
        directory: &Path,
        options: &[&str],
        stderr: impl Into<Stdio>,
        environment: &[(&str, &str)],
    ) -> Self {
        let log = directory.join("launcher.log");
        let mut child = Command::new(program)
            .envs(environment.iter().copied())
            .args(["launch", "--workers", "2", "--log-size", "32MiB"])
            .args(options)
            .current_dir(directory)
            .env_remove(KEY_VARIABLES[0])
            .env_remove(KEY_VARIABLES[1])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, printed) = (child.stdout.take().unwrap(), lines.clone());
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| printed.lock().unwrap().push(line));
        });
        Launcher { child, lines, log }
    }

    /// Starts two shards and a facade on these ports, with the data in `directory/data`, and waits
    /// until all are ready.
    pub fn start_on(directory: &Path, http: &str, kv: &str) -> Self {
        Self::spawn(Path::new(PROGRAM), directory, &["--shards", SHARDS, "--http", http, "--kv", kv]).until_ready()
    }

    pub fn start(directory: &Path) -> Self {
        Self::start_on(directory, ANY_PORT, ANY_PORT)
    }

    pub fn until_ready(mut self) -> Self {
        eventually("the store is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the launcher ended with {ended:?}: {}", self.log());
            self.printed("Ctrl-C stops it.").then_some(())
        });
        self
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn printed(&self, beginning: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(beginning))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has a text, and asserts that it has it so many times. Lines are written soon, not at once.
    #[track_caller]
    pub fn expect_logged(&self, text: &str, times: usize) {
        expect_logged(|| self.log(), text, times);
    }

    pub fn address(&self, what: &str) -> SocketAddr {
        let lines = self.lines();
        let address = lines.iter().find_map(|line| line.strip_prefix(what)?.trim().strip_prefix("http://"));
        address.unwrap_or_else(|| panic!("no {what} in {lines:?}")).parse().unwrap()
    }

    pub fn shop(&self) -> SocketAddr {
        self.address("shop")
    }

    pub fn kv(&self) -> SocketAddr {
        self.address("key-value")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The gateway, the shards and the facade that run now.
    pub fn children(&self) -> Vec<Role> {
        children_of(self.pid())
    }

    /// The child whose arguments contain a text.
    pub fn child(&self, argument: &str) -> Pid {
        eventually(&format!("there is a child with {argument}"), || {
            self.children().iter().find(|role| role.arguments.contains(argument)).map(|role| role.pid)
        })
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        eventually("the launcher ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the launcher printed ---\n{}\n--- its log ---\n{}", self.lines().join("\n"), self.log());
        }
    }
}

/// The running children of a process.
pub fn children_of(parent: Pid) -> Vec<Role> {
    let parent = parent.as_raw_pid().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let ours = processes.filter(|pid: &i32| stat(*pid).is_some_and(|(_, of)| of == parent));
    ours.filter_map(|pid| {
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
        Some(Role { pid: Pid::from_raw(pid)?, arguments })
    })
    .collect()
}

/// The state of a process and its parent's id.
fn stat(pid: i32) -> Option<(char, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.to_owned()))
}

/// Waits until processes have ended. A zombie counts as ended, although its new parent has not reaped it yet.
pub fn wait_until_gone(children: &[Role]) {
    for Role { pid, arguments } in children {
        eventually(&format!("no longer there: {arguments}"), || match stat(pid.as_raw_pid()) {
            None | Some(('Z', _)) => Some(()),
            Some(_) => None,
        });
    }
}

/// Runs a launcher that must refuse with this exit status before it starts anything, and returns its output.
pub fn refusal(directory: &Path, options: &[&str], status: i32) -> String {
    let launcher = ended(directory, options, status);
    assert!(launcher.lines().is_empty(), "{:?}", launcher.lines());
    launcher.log()
}

/// Runs a launcher one of whose children refuses to start, and returns its output.
pub fn failed_start(directory: &Path, options: &[&str]) -> String {
    let launcher = ended(directory, options, 1);
    assert!(!launcher.printed("facade: ready"), "{:?}", launcher.lines());
    launcher.log()
}

fn ended(directory: &Path, options: &[&str], status: i32) -> Launcher {
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory, options);
    assert_eq!(launcher.wait().code(), Some(status), "{}", launcher.log());
    launcher
}
