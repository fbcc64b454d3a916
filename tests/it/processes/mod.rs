//! The processes themselves: starting, stopping, options, clocks.

mod identity;
mod launcher;
mod ntp;
mod options;
mod shutdown;
