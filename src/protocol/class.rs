//! The classes of requests that figures tell apart.

use super::command::Command;
use super::effect::Effect;

/// The class of a customer's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestClass {
    /// It changes nothing.
    Read,
    /// It changes records, and is not about an order.
    Write,
    /// It places or changes an order.
    Order,
}

impl RequestClass {
    /// The class of a command; `None` for pings and for what shards say to each other.
    pub fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Ping | Command::Peer(_) => None,
            command if command.effect() == Effect::Read => Some(RequestClass::Read),
            Command::Order(_) => Some(RequestClass::Order),
            Command::Cart { .. }
            | Command::Value { .. }
            | Command::Product { .. }
            | Command::ListProducts(_)
            | Command::ListOrders(_)
            | Command::Delivery(_) => Some(RequestClass::Write),
        }
    }
}
