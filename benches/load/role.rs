//! This program once more, in the role of a server that shardcart is compared with: a process of its
//! own, so that its processor time is told apart from the load generator's.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::Result;

/// A process in a role. Its standard input is a pipe that closes when this is dropped or when this
/// process ends, however it does: the process in the role ends then.
pub struct RoleProcess {
    child: Child,
}

impl RoleProcess {
    /// Starts it with these arguments; with it comes the line in which it says that it is ready.
    ///
    /// # Errors
    /// When the process cannot be started or its output cannot be read.
    pub fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<(Self, String)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let process = RoleProcess { child };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok((process, line.trim().to_owned()))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RoleProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("a server could not be waited for: {error}");
        }
    }
}
