//! Where options come from: an argument, else a variable of the environment, else a configuration file, else the default.

mod file;
mod in_force;
mod parse;
mod values;
mod variables;

pub use in_force::Setting;
pub use parse::{Parsed, Refusal, parse};
pub use variables::unknown_variables;
