//! The address of a payment gateway: `--payment` of a shard.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

use crate::error::{Error, Invalid, Result};
use crate::routing::Address;

/// The address of a payment gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayAddress {
    /// Below this URL.
    Http(Url),
    /// On this Unix socket.
    Unix(PathBuf),
}

impl GatewayAddress {
    /// Checks that card numbers do not travel in clear text to another machine, unless that is wanted.
    ///
    /// # Errors
    /// [`Error::Invalid`] when they would.
    pub fn check_encrypted(&self, may_be_insecure: bool) -> Result<()> {
        match self {
            GatewayAddress::Http(url) if url.scheme() == "http" && !is_loopback(url) && !may_be_insecure => {
                Err(Invalid::general(format!(
                    "--payment {url}: plain http would send card numbers in clear text to another machine; use https, \
                     or --payment-insecure on a network that you trust"
                ))
                .into())
            }
            GatewayAddress::Http(_) | GatewayAddress::Unix(_) => Ok(()),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or_else(|_| host.trim_end_matches('.') == "localhost", |ip| ip.to_canonical().is_loopback())
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayAddress::Http(url) => f.write_str(url.as_str()),
            GatewayAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for GatewayAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("unix:") {
            return match text.parse()? {
                Address::Unix(path) => Ok(GatewayAddress::Unix(path)),
                Address::Tcp(_) => Err(Invalid::general(format!("`{text}`: is no path of a Unix socket")).into()),
            };
        }
        let invalid = |what: &str| Error::Invalid(Invalid::general(format!("`{text}`: {what}")));
        let url = Url::parse(text).map_err(|_| invalid("is neither a URL nor unix:PATH"))?;
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
        Ok(GatewayAddress::Http(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_plain_url_or_a_unix_socket() {
        for text in ["http://127.0.0.1:9000/", "https://pay.example/v1", "unix:/run/gateway"] {
            assert_eq!(text.parse::<GatewayAddress>().unwrap().to_string(), text);
        }
        for text in ["", "simulated", "ftp://x/", "https://a:b@x/", "https://x/?a", "https://x/#a", "unix:"] {
            assert!(matches!(text.parse::<GatewayAddress>(), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn clear_text_stays_on_this_machine_unless_that_is_wanted() {
        let check = |text: &str, insecure| text.parse::<GatewayAddress>().unwrap().check_encrypted(insecure);
        for text in ["https://pay.example/", "http://127.1.2.3/", "http://[::1]:1/", "http://localhost:1/", "unix:/x"] {
            assert_eq!(check(text, false), Ok(()), "{text}");
        }
        for text in ["http://pay.example/", "http://10.0.0.1/", "http://localhost.example/", "http://0.0.0.0/"] {
            assert!(matches!(check(text, false), Err(Error::Invalid(_))), "{text}");
            assert_eq!(check(text, true), Ok(()), "{text}");
        }
    }
}
