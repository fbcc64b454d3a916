//! One thing that was looked at.

use serde::Serialize;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// A store runs, but not as well or as safely as it could.
    Warning,
    /// A store does not run, or loses what it has.
    Wrong,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub area: &'static str,
    /// How good it is.
    pub level: Level,
    /// What it is.
    pub text: String,
    /// What to do; none for what is good.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn good(area: &'static str, text: impl Into<String>) -> Self {
        Finding { area, level: Level::Good, text: text.into(), remedy: None }
    }

    /// Something that could be better.
    pub fn warning(area: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { area, level: Level::Warning, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// Something that does not work.
    pub fn wrong(area: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { area, level: Level::Wrong, text: text.into(), remedy: Some(remedy.into()) }
    }
}
