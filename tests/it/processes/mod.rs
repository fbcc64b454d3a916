//! The processes: start, stop, options, clocks.

mod identity;
mod launcher;
mod ntp;
mod options;
mod shutdown;
