//! The harness of the benchmarks with real processes: starts a store, fills it with carts over HTTP, and reads the
//! processor time and memory of its processes from `/proc`.

pub mod carts;
pub mod connection;
pub mod procfs;
pub mod store;

use std::process::ExitCode;

/// The reason why a benchmark cannot continue, for people.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result of the benchmarks.
pub type Result<T> = std::result::Result<T, Failure>;

/// The argument that `cargo bench` adds and `cargo test` does not.
pub const BENCH_FLAG: &str = "--bench";

/// Runs a benchmark under `cargo bench`. Under `cargo test` there is nothing to do, and a line says so.
pub fn run_under_bench(name: &str, measure: impl FnOnce() -> Result<()>) -> ExitCode {
    if !std::env::args().any(|argument| argument == BENCH_FLAG) {
        println!("{name}: nothing to test; `cargo bench --bench {name}` measures");
        return ExitCode::SUCCESS;
    }
    exit_code(measure().map(|()| true))
}

/// Success only for a benchmark whose measurements are valid. Prints the reason of a failure.
pub fn exit_code(outcome: Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs client work to its end on a runtime of its own.
///
/// # Errors
/// When the work fails.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
