//! Requests from web pages. A browser sends what any page asks it to, also to a store on loopback or behind a firewall,
//! so it must be told apart whose page asked: by `Host`, which a page cannot choose, and by `Origin` and
//! `Sec-Fetch-Site`, which the browser sets.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

use super::head::host_name;
use super::problem::Problem;
use super::response::empty;
use crate::error::{Error, Invalid};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The longest origin, in bytes: a host name has at most 253.
const MAX_ORIGIN_BYTES: usize = 300;
/// The time for which a browser may keep the answer to a preflight, in seconds.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// The headers that a page may send.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-Id");
/// The headers of answers that a page may read.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("ETag, Idempotency-Replayed, Link, Location, Retry-After, X-Request-Id");

/// The origin of web pages, such as `https://shop.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_origin = host.is_some_and(|host| host_name(host.as_bytes()).is_some());
        if !is_origin || text.len() > MAX_ORIGIN_BYTES || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let what = "an origin is http:// or https://, and a host in lower case with or without a port";
            return Err(Invalid::general(what).into());
        }
        Ok(Origin(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rules for requests that browsers send.
#[derive(Debug)]
pub struct Browsers {
    /// The origins whose pages may use the store.
    origins: Vec<Origin>,
    /// True to serve loopback hosts only: without configured keys, a page whose name was rebound to loopback would
    /// have the development key.
    only_loopback: bool,
}

impl Browsers {
    /// Makes the rules.
    pub fn new(origins: Vec<Origin>, only_loopback: bool) -> Self {
        Browsers { origins, only_loopback }
    }

    /// Checks that a host is served.
    ///
    /// # Errors
    /// 403 for one that is not.
    pub fn check_host(&self, host: &HeaderValue) -> Result<(), Problem> {
        match self.only_loopback && !is_loopback(host) {
            true => Err(Problem::host_not_allowed()),
            false => Ok(()),
        }
    }

    /// Checks that a page may send this request.
    ///
    /// # Errors
    /// 403 for a write that a page of another site sends.
    pub fn check(&self, parts: &Parts) -> Result<(), Problem> {
        match parts.method {
            Method::GET | Method::HEAD => Ok(()),
            _ if self.is_cross_site(&parts.headers) => Err(Problem::cross_site()),
            _ => Ok(()),
        }
    }

    fn is_cross_site(&self, headers: &HeaderMap) -> bool {
        let origins = || headers.get_all(ORIGIN).iter();
        let is_allowed = origins().next().is_some() && origins().all(|origin| self.allows(origin));
        let is_foreign = origins().any(|origin| !self.allows(origin) && !is_own(origin, headers.get(HOST)));
        let is_said = headers.get_all(SEC_FETCH_SITE).iter().any(|site| site == "cross-site");
        is_foreign || (is_said && !is_allowed)
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| allowed.0.as_bytes() == origin.as_bytes())
    }

    /// The answer to a preflight: what a page of an allowed origin may send.
    pub fn preflight(&self, parts: &Parts) -> Option<Response<Bytes>> {
        let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !self.allows(parts.headers.get(ORIGIN)?) {
            return None;
        }
        let mut response = empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
        Some(response)
    }

    /// Lets the page that asked read the answer, where its origin is allowed.
    pub fn share(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = asked.get(ORIGIN).filter(|origin| self.allows(origin)) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}

/// True for a request that a page of another origin sends, also one that may use the store. A program that is no browser
/// says nothing about an origin.
pub fn is_of_another_origin(headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().any(|origin| !is_own(origin, headers.get(HOST)))
        || headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "same-origin" && site != "none")
}

fn is_loopback(host: &HeaderValue) -> bool {
    let Some(name) = host_name(host.as_bytes()).and_then(|name| std::str::from_utf8(name).ok()) else { return false };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_localhost = name.eq_ignore_ascii_case("localhost");
    is_localhost || name.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// True when a page comes from the host that it asks.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let origin = origin.as_bytes();
    let own = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
    own.zip(host).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn status(browsers: &Browsers, method: &str, headers: &[(HeaderName, &str)]) -> Option<StatusCode> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let host = parts.headers.get(HOST).map_or(Ok(()), |host| browsers.check_host(host));
        host.and_then(|()| browsers.check(&parts)).err().map(|problem| problem.status)
    }

    #[test]
    fn only_loopback_hosts_are_served_without_keys() {
        for (host, is_served) in [
            ("localhost", true),
            ("LOCALHOST:5000", true),
            ("127.0.0.1:5000", true),
            ("127.1.2.3", true),
            ("[::1]:5000", true),
            ("[::ffff:127.0.0.1]", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
        ] {
            let refused = status(&Browsers::new(Vec::new(), true), "GET", &[(HOST, host)]);
            assert_eq!(refused.is_none(), is_served, "{host}");
            assert_eq!(status(&Browsers::new(Vec::new(), false), "GET", &[(HOST, host)]), None, "{host}");
        }
    }

    #[test]
    fn origins_are_bounded() {
        let host = |length: usize| format!("https://{}", "a".repeat(length - "https://".len()));
        assert!(host(MAX_ORIGIN_BYTES).parse::<Origin>().is_ok());
        assert!(host(MAX_ORIGIN_BYTES + 1).parse::<Origin>().is_err());
    }

    #[test]
    fn a_page_of_another_site_may_read_and_not_write() {
        let browsers = Browsers::new(vec!["https://shop.example".parse().unwrap()], false);
        for (headers, may_write) in [
            (&[][..], true),
            (&[(SEC_FETCH_SITE, "same-origin")], true),
            (&[(SEC_FETCH_SITE, "none")], true),
            (&[(SEC_FETCH_SITE, "cross-site")], false),
            (&[(ORIGIN, "http://store.example:5000")], true),
            (&[(ORIGIN, "https://store.example:5000")], true),
            (&[(ORIGIN, "http://store.example")], false),
            (&[(ORIGIN, "null")], false),
            (&[(ORIGIN, "https://evil.example"), (SEC_FETCH_SITE, "same-origin")], false),
            (&[(ORIGIN, "https://shop.example"), (SEC_FETCH_SITE, "cross-site")], true),
            (&[(ORIGIN, "http://shop.example")], false),
            (&[(ORIGIN, "http://store.example:5000"), (SEC_FETCH_SITE, "cross-site")], false),
            (&[(ORIGIN, "http://store.example:5000"), (ORIGIN, "https://evil.example")], false),
            (&[(ORIGIN, "https://shop.example"), (ORIGIN, "https://evil.example")], false),
            (&[(ORIGIN, "https://shop.example"), (ORIGIN, "http://store.example:5000")], true),
            (&[(SEC_FETCH_SITE, "none"), (SEC_FETCH_SITE, "cross-site")], false),
        ] {
            let headers: Vec<_> = headers.iter().cloned().chain([(HOST, "store.example:5000")]).collect();
            let expected = if may_write { None } else { Some(StatusCode::FORBIDDEN) };
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                assert_eq!(status(&browsers, method, &headers), expected, "{method} {headers:?}");
            }
            assert_eq!(status(&browsers, "GET", &headers), None, "{headers:?}");
        }
    }

    #[test]
    fn a_page_is_of_the_stores_own_origin_or_not() {
        for (headers, is_other) in [
            (&[][..], false),
            (&[(ORIGIN, "http://store.example:5000")], false),
            (&[(ORIGIN, "http://store.example:5000"), (SEC_FETCH_SITE, "same-origin")], false),
            (&[(SEC_FETCH_SITE, "none")], false),
            (&[(ORIGIN, "https://shop.example")], true),
            (&[(ORIGIN, "null")], true),
            (&[(SEC_FETCH_SITE, "same-site")], true),
            (&[(SEC_FETCH_SITE, "cross-site")], true),
            (&[(ORIGIN, "http://store.example:5000"), (ORIGIN, "null")], true),
            (&[(SEC_FETCH_SITE, "none"), (SEC_FETCH_SITE, "cross-site")], true),
        ] {
            let headers = headers.iter().cloned().chain([(HOST, "store.example:5000")]);
            let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
            assert_eq!(is_of_another_origin(&headers), is_other, "{headers:?}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        for text in ["https://shop.example", "http://localhost:8080", "http://[::1]:80"] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in ["", "*", "null", "shop.example", "https://", "https://a/", "https://A", "ftp://a", "https://a b"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
