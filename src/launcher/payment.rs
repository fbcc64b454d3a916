//! The choice of payment gateway: `--payment` of a launcher.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Invalid, Result};
use crate::payment::GatewayAddress;

const SIMULATED: &str = "simulated";

/// The gateway that takes payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentKind {
    /// The simulated one, which the launcher starts beside the shards.
    Simulated,
    /// Another one.
    At(GatewayAddress),
}

impl fmt::Display for PaymentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PaymentKind::Simulated => f.write_str(SIMULATED),
            PaymentKind::At(address) => address.fmt(f),
        }
    }
}

impl FromStr for PaymentKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == SIMULATED {
            return Ok(PaymentKind::Simulated);
        }
        if !text.contains(':') {
            return Err(Invalid::general(format!("`{text}`: is neither `{SIMULATED}` nor a URL nor unix:PATH")).into());
        }
        text.parse().map(PaymentKind::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_simulated_or_an_address() {
        for text in ["simulated", "https://pay.example/v1", "unix:/run/gateway"] {
            assert_eq!(text.parse::<PaymentKind>().unwrap().to_string(), text);
        }
        for text in ["", "simulate", "ftp://x/"] {
            assert!(matches!(text.parse::<PaymentKind>(), Err(Error::Invalid(_))), "{text}");
        }
    }
}
