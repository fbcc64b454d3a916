//! Client commands in a test: the real program, with nothing of the environment that runs the tests.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::launcher::PROGRAM;

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

/// A command to be run.
pub struct Program(Command);

impl Program {
    /// The program with these arguments, in a directory, with an empty environment.
    pub fn new(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(directory).env_clear().stdin(Stdio::null());
        Program(command)
    }

    /// A line of a shell in its place, as the program printed it.
    pub fn of_shell(directory: &Path, line: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(directory).env_clear().stdin(Stdio::null());
        Program(command)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// With a store to speak to.
    pub fn store(self, url: &str) -> Self {
        self.env("SHARDCART_URL", url)
    }

    /// The command, for more than its output.
    pub fn command(&mut self) -> &mut Command {
        &mut self.0
    }

    pub fn run(mut self) -> Said {
        Said::of(self.0.output().expect("the program can be started"))
    }
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it says UTF-8");
        let status = output.status.code().expect("no signal ends it");
        Said { status, out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }
}
