//! Payment gateways: their address, the protocol, and the client that speaks it.

mod address;
mod attempt;
mod gateway;
mod http;
mod messages;
mod move_of_money;
mod redact;

pub use address::GatewayAddress;
pub use gateway::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentState, Refund};
pub use http::HttpGateway;
pub use messages::{Answer, Authorise, State};
