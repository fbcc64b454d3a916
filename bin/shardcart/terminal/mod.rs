//! What people see of the client commands: text, tables and colours that fit their terminal.

pub mod output;
pub mod style;
pub mod table;
pub mod units;
mod width;

pub use width::columns;
