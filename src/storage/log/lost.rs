//! Commits that are given up, as `--give-up` takes them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Invalid, Result};

/// The commits that are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// So many.
    Commits(u64),
    /// Nobody can tell how many.
    Unknown,
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GiveUp::Commits(count) => count.fmt(f),
            GiveUp::Unknown => f.write_str("unknown"),
        }
    }
}

impl FromStr for GiveUp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "unknown" => Ok(GiveUp::Unknown),
            text => text
                .parse()
                .map(GiveUp::Commits)
                .map_err(|_| Invalid::general(format!("`{text}` is neither a number of commits nor `unknown`")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_unknown_is_read_and_written() {
        for (text, value) in [("0", GiveUp::Commits(0)), ("17", GiveUp::Commits(17)), ("unknown", GiveUp::Unknown)] {
            assert_eq!(text.parse(), Ok(value));
            assert_eq!(value.to_string(), text);
        }
        for text in ["", "-1", "all", "1 commit"] {
            assert!(text.parse::<GiveUp>().is_err(), "{text}");
        }
    }
}
