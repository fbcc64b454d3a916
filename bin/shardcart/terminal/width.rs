//! The width of the terminal.

use std::env;
use std::io;

use rustix::termios::tcgetwinsize;

/// The width when standard output is no terminal and `COLUMNS` does not say one.
const DEFAULT_COLUMNS: usize = 80;
/// The least width that is used, however narrow the terminal is.
const MIN_COLUMNS: usize = 40;

/// The number of columns that text may take.
pub fn columns() -> usize {
    let of_terminal =
        || tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    let of_environment = || env::var("COLUMNS").ok()?.parse().ok();
    of_terminal().or_else(of_environment).unwrap_or(DEFAULT_COLUMNS).max(MIN_COLUMNS)
}
