//! The choice of payment gateway: `--payment`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;

use super::gateway::PaymentGateway;
use super::http::HttpGateway;
use super::simulated::SimulatedGateway;
use crate::error::{Error, Invalid, Result};

/// The gateway that takes payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentKind {
    /// The built-in [`SimulatedGateway`].
    Simulated,
    /// A gateway that speaks the protocol of [`HttpGateway`] below this URL.
    Http(Url),
}

impl PaymentKind {
    /// Makes the gateway.
    ///
    /// # Errors
    /// [`Error::Internal`] when its HTTP client cannot be made.
    pub fn gateway(&self) -> Result<Arc<dyn PaymentGateway>> {
        Ok(match self {
            PaymentKind::Simulated => Arc::new(SimulatedGateway),
            PaymentKind::Http(url) => Arc::new(HttpGateway::new(url.clone())?),
        })
    }
}

impl fmt::Display for PaymentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PaymentKind::Simulated => f.write_str("simulated"),
            PaymentKind::Http(url) => f.write_str(url.as_str()),
        }
    }
}

impl FromStr for PaymentKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "simulated" {
            return Ok(PaymentKind::Simulated);
        }
        let invalid = |what: &str| Error::Invalid(Invalid::general(format!("`{text}`: {what}")));
        let url = Url::parse(text).map_err(|_| invalid("is neither `simulated` nor a URL"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(invalid("must be an http or https URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::general(
                "a payment gateway's URL must not hold credentials: they would be seen in the list of processes; use SHARDCART_PAYMENT_TOKEN",
            ).into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("must have neither a query nor a fragment"));
        }
        Ok(PaymentKind::Http(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_simulated_or_a_plain_url() {
        assert_eq!("simulated".parse(), Ok(PaymentKind::Simulated));
        for text in ["http://127.0.0.1:9000/", "https://pay.example/v1"] {
            assert_eq!(text.parse::<PaymentKind>().unwrap().to_string(), text);
        }
        for text in ["", "simulate", "ftp://x/", "https://a:b@x/", "https://x/?a", "https://x/#a", "unix:/x"] {
            assert!(matches!(text.parse::<PaymentKind>(), Err(Error::Invalid(_))), "{text}");
        }
    }
}
