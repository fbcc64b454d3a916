//! A request of a client command that failed, as the error that ends the program.

use std::fmt;

use shardcart::remote::{Failure, Outcome};

/// What a person can do when it is not known whether a write was applied.
#[derive(Debug, Clone)]
pub enum Retry {
    /// The request only read: nothing has to be said.
    Read,
    /// This command line repeats the write and has the effect of one.
    Command(String),
    /// A second write may do more than one: this command line shows what there is now.
    Look(String),
}

/// The failure of a request.
#[derive(Debug)]
pub struct Failed {
    pub failure: Failure,
    pub retry: Retry,
    /// True when programs read the output: the store's own problem document is shown then.
    pub is_json: bool,
}

impl Failed {
    /// The exit status.
    pub fn exit_code(&self) -> u8 {
        self.failure.outcome.exit_code()
    }

    /// What to do next; empty when the error says it all.
    pub fn advice(&self) -> String {
        match (self.failure.outcome, &self.retry) {
            (Outcome::Unknown, Retry::Command(command)) => {
                format!("it may have been applied or not; this repeats it and applies it once:\n  {command}")
            }
            (Outcome::Unknown, Retry::Look(command)) => {
                format!("it may have been applied or not; this shows what there is, before you repeat it:\n  {command}")
            }
            (Outcome::NotApplied, _) => match self.failure.retry_after {
                Some(pause) => format!("nothing was applied; try again after {} s", pause.as_secs()),
                None => "nothing was applied; try again".into(),
            },
            (Outcome::Denied, _) => {
                "set SHARDCART_API_KEY, or give --api-key-file; `shardcart keys new` makes a key".into()
            }
            _ => String::new(),
        }
    }

    /// The problem document of the store, where programs want it.
    pub fn document(&self) -> Option<String> {
        let is_wanted = self.is_json && self.failure.code.is_some();
        is_wanted.then(|| String::from_utf8_lossy(&self.failure.body).into_owned())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for Failed {}
