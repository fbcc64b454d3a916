//! What every process of the store has of its own: logs, signals, scheduling, latency histograms.

pub mod fail_point;
pub mod histogram;
pub mod logging;
pub mod scheduling;
pub mod shutdown;
