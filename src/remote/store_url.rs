//! The address of a store: `--url` of the client commands.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use crate::error::{Error, Invalid, Result};

/// The address of a store, with a path that ends with a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl(Url);

impl StoreUrl {
    /// True when requests are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// True when the host is this machine, as far as its name tells.
    pub fn is_loopback(&self) -> bool {
        let Some(host) = self.0.host_str() else { return false };
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        ip.map_or_else(|_| host.trim_end_matches('.') == "localhost", |ip| ip.to_canonical().is_loopback())
    }

    /// The port of the listener.
    pub fn port(&self) -> Option<u16> {
        self.0.port_or_known_default()
    }

    /// The URL of a path below this one. `path` has no slash at the beginning, and is encoded already.
    pub(super) fn join(&self, path: &str) -> Result<Url> {
        Url::parse(&format!("{}{path}", self.0)).map_err(|error| Error::Internal(format!("{}{path}: {error}", self.0)))
    }
}

/// The URL without the slash at the end.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |what: &str| Error::Invalid(Invalid::general(format!("`{text}`: {what}")));
        let mut url = Url::parse(text).map_err(|_| invalid("is not a URL, as http://127.0.0.1:5000"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(invalid("must be an http or https URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let reason =
                "a store's URL must not hold credentials; an API key is given as SHARDCART_API_KEY or --api-key-file";
            return Err(Invalid::general(reason).into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("must have neither a query nor a fragment"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(StoreUrl(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_http_url_that_may_have_a_path() {
        for (text, shown, below) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000", "http://127.0.0.1:5000/items/a"),
            ("https://shop.example/store", "https://shop.example/store", "https://shop.example/store/items/a"),
            ("https://shop.example/store/", "https://shop.example/store", "https://shop.example/store/items/a"),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.join("items/a").unwrap().as_str()), (shown, below));
        }
        for text in ["", "127.0.0.1:5000", "localhost:5000", "ftp://x/", "http://a:b@x/", "http://x/?a", "http://x/#a"]
        {
            assert!(matches!(text.parse::<StoreUrl>(), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_other_machines() {
        for (text, is_loopback) in [
            ("http://127.0.0.1:5000", true),
            ("http://[::1]:5000", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
            ("https://localhost.example", false),
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().is_loopback(), is_loopback, "{text}");
        }
    }
}
