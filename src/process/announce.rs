//! The lines that a process prints on standard output for the process that started it: `progress TEXT` while
//! it starts, `ready ADDRESSES` once it serves, and then `alive`, again and again. Writer and parser are both here, so that they stay alike.

use std::fmt;
use std::time::{Duration, Instant};

use super::logging::print;

const READY: &str = "ready ";
const PROGRESS: &str = "progress ";
const ALIVE: &str = "alive";
/// The time between two progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// A line from a child process, as its launcher reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement<'a> {
    /// The child serves.
    Ready {
        /// Its addresses, separated by spaces.
        addresses: &'a str,
    },
    /// The child goes on.
    Alive,
    /// The child is still starting.
    Progress {
        /// The text, for people.
        text: &'a str,
    },
}

impl<'a> Announcement<'a> {
    /// Reads a line without its end; `None` for any other line.
    pub fn parse(line: &'a str) -> Option<Self> {
        if line == ALIVE {
            return Some(Announcement::Alive);
        }
        let ready = line.strip_prefix(READY).map(|addresses| Announcement::Ready { addresses });
        ready.or_else(|| line.strip_prefix(PROGRESS).map(|text| Announcement::Progress { text }))
    }
}

/// Prints the line of a process that serves, with its addresses separated by spaces.
pub fn ready(addresses: impl fmt::Display) {
    print(format_args!("{READY}{addresses}"));
}

/// Prints the line of a process that goes on.
pub fn alive() {
    print(ALIVE);
}

/// Prints progress lines, at most one every half second.
#[derive(Debug, Default)]
pub struct Progress {
    printed: Option<Instant>,
}

impl Progress {
    /// Delays the first line by half a second, since a quick start needs none. The default prints it at once.
    pub fn delayed() -> Self {
        Progress { printed: Some(Instant::now()) }
    }

    /// Prints a line if one is due.
    pub fn print(&mut self, text: impl fmt::Display) {
        if self.printed.is_none_or(|printed| printed.elapsed() >= PROGRESS_INTERVAL) {
            self.printed = Some(Instant::now());
            print(format_args!("{PROGRESS}{text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let addresses = "http=127.0.0.1:1 kv=127.0.0.1:2";
        assert_eq!(Announcement::parse(&format!("ready {addresses}")), Some(Announcement::Ready { addresses }));
        assert_eq!(Announcement::parse("progress loading"), Some(Announcement::Progress { text: "loading" }));
        assert_eq!(Announcement::parse("alive"), Some(Announcement::Alive));
        for other in ["", "ready", "readyness", "progressing"] {
            assert_eq!(Announcement::parse(other), None, "{other}");
        }
    }
}
