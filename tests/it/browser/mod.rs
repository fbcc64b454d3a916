//! The pages in a real browser: Debian's chromium, driven over WebDriver. Without it these tests are skipped, and say so;
//! with `CI` set they fail.

mod driver;
mod modules;
mod quiet;
mod shop;
mod status;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The browsers that these tests can drive; the first one that is installed is taken.
const BROWSERS: [&str; 2] = ["chromium", "google-chrome"];
const DRIVER: &str = "chromedriver";

/// Waits for the turn of a test, since browsers take much of a machine, and two tests with one each would wait for each
/// other's processors. `None` when there is no browser.
fn turn() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    if browser().is_none() || find(DRIVER).is_none() {
        skip(&format!("there is no {}, or no {DRIVER}", BROWSERS.join(", no ")));
        return None;
    }
    Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The path of the browser.
fn browser() -> Option<PathBuf> {
    BROWSERS.iter().find_map(|browser| find(browser))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Says on stderr itself, which a passing test's output is not, that something is not tested. Fails where `CI` is set.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI tests the pages in a browser, and {why}");
    // The test must not fail because nobody listens.
    let _ = writeln!(std::io::stderr(), "SKIPPED: the pages in a browser: {why}");
}
