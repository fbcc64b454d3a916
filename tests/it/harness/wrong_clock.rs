//! The clock of the system, wrong for one process: a library that is loaded before the C library sets it ahead.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/harness/wrong_clock.c");

/// The variable of the environment of a process whose clock is to be ahead. The library is built in a directory.
pub fn ahead(directory: &Path, seconds: u64) -> (String, String) {
    let library = directory.join("wrong_clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", &format!("-DAHEAD_S={seconds}"), "-o"])
        .args([&library, Path::new(SOURCE)])
        .arg("-ldl")
        .status()
        .expect("there is a C compiler");
    assert!(built.success());
    ("LD_PRELOAD".into(), library.display().to_string())
}
