//! A short load on a running store: reads and additions to carts of customers of its own, which it removes again.

mod report;
mod run;

pub use report::{Bar, Latencies, Report};
pub use run::{Options, run};
