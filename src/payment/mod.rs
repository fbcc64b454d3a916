//! Payment gateways: the trait, a simulated gateway, and one over HTTP.

mod gateway;
mod http;
mod kind;
mod redact;
mod simulated;

pub use gateway::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentGateway, PaymentState};
pub use http::HttpGateway;
pub use kind::PaymentKind;
pub use simulated::SimulatedGateway;
