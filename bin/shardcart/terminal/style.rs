//! Colours, on a terminal only, and never when `NO_COLOR` is set (no-color.org).

use std::env;
use std::io::{self, IsTerminal as _};

/// The meaning of a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Good,
    Warning,
    Bad,
}

/// True when standard output may be coloured.
pub fn is_coloured() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The text in the colour of its meaning, where colours may be used.
pub fn paint(text: &str, style: Style) -> String {
    let code = match style {
        Style::Good => "32",
        Style::Warning => "33",
        Style::Bad => "1;31",
    };
    if is_coloured() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
