//! The processes: start, stop, options, clocks.

mod cards;
mod gateway;
mod identity;
mod launcher;
mod ntp;
mod options;
mod prove;
mod shutdown;
