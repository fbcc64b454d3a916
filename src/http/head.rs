//! What every request's head must be, whatever its path: what a client asked for must never be ignored silently.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST,
    HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use super::problem::Problem;
use crate::error::Invalid;

/// The longest port in `Host`, in digits.
const MAX_PORT_DIGITS: usize = 5;

/// Headers that decide nothing before a request reaches its endpoint, and no condition of a command.
const PLAIN: [HeaderName; 7] = [HOST, CONTENT_TYPE, CONTENT_LENGTH, ACCEPT, USER_AGENT, ACCEPT_ENCODING, CONNECTION];

/// True when a head has no header that asks for anything: no key, id, condition, encoding or origin. Most requests are so,
/// and one pass over their headers spares them a dozen look-ups.
pub fn is_plain(headers: &HeaderMap) -> bool {
    headers.keys().all(|name| PLAIN.contains(name))
}

/// Checks the head of a request, but for its `Host`.
///
/// # Errors
/// 400 for `Content-Range`, 415 for `Content-Encoding`, 501 for `Transfer-Encoding`.
pub fn check(parts: &Parts) -> Result<(), Problem> {
    match parts.method {
        Method::GET | Method::HEAD => check_encoding(&parts.headers),
        _ => check_encoding(&parts.headers).and_then(|()| check_content(&parts.headers)),
    }
}

/// True when `Accept` names HTML, as that of a browser which opens a page does. `*/*` does not: programs send it.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        is_html && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
    })
}

/// The `Host` of a request, whose form is not checked; none in HTTP/1.0.
///
/// # Errors
/// 400 when it is missing or given more than once.
pub fn host(parts: &Parts) -> Result<Option<&HeaderValue>, Problem> {
    // A comparison with each name costs less than a look-up: it is usually the first of few.
    let mut hosts = parts.headers.iter().filter(|(name, _)| *name == HOST).map(|(_, host)| host);
    let reason = match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_10 => return Ok(None),
        (Some(host), None) => return Ok(Some(host)),
        (None, _) => "is missing",
        (Some(_), Some(_)) => "must be given once",
    };
    Err(Invalid::new("Host", reason).into())
}

/// Checks the form of a `Host`.
///
/// # Errors
/// 400 when it is malformed.
pub fn check_host(host: &HeaderValue) -> Result<(), Problem> {
    match host_name(host.as_bytes()) {
        Some(_) => Ok(()),
        None => Err(Invalid::new("Host", "is no host name or address, with or without a port").into()),
    }
}

/// The name or address in `Host`, without its port and without the brackets of an IPv6 address. `None` when it is
/// malformed.
pub fn host_name(host: &[u8]) -> Option<&[u8]> {
    let (name, port) = match host.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b']')?;
            let (address, port) = (&rest[..end], &rest[end + 1..]);
            let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if !address.iter().all(is_address) {
                return None;
            }
            (address, port)
        }
        None => {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
            host.split_at(host.iter().position(|byte| !is_name(byte)).unwrap_or(host.len()))
        }
    };
    let digits = port.strip_prefix(b":").unwrap_or(port);
    let is_port = port.is_empty()
        || (port[0] == b':' && digits.len() <= MAX_PORT_DIGITS && digits.iter().all(u8::is_ascii_digit));
    Some(name).filter(|name| !name.is_empty() && is_port)
}

/// The body must be as it is sent: the facade decodes nothing but chunks, once.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(TRANSFER_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    // An empty element of a list is skipped (RFC 9110, section 5.6.1).
    let mut encodings = encodings.map(<[u8]>::trim_ascii).filter(|encoding| !encoding.is_empty());
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Problem::unknown_transfer_encoding()),
    }
}

fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(CONTENT_RANGE) {
        return Err(Invalid::new("Content-Range", "a part of a record cannot be written").into());
    }
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    match headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        true => Ok(()),
        false => Err(Problem::encoded()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_must_be_named() {
        for (value, accepts) in [
            ("text/html", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json, Text/HTML;q=0.1", true),
            ("text/html;level=1;q=1", true),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("text/html;q=0", false),
            ("text/html;q=x", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]);
            assert_eq!(accepts_html(&headers), accepts, "{value}");
        }
        assert!(!accepts_html(&HeaderMap::new()));
    }

    #[test]
    fn chunked_is_the_only_transfer_encoding() {
        for (values, is_known) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked"], true),
            (&[", chunked"], true),
            (&[" ,\t, chunked "], true),
            (&["", "chunked"], true),
            (&["gzip, chunked"], false),
            (&["gzip", "chunked"], false),
            (&["chunked, chunked"], false),
            (&["chunked", "chunked"], false),
            (&["chunked;q=1"], false),
        ] {
            let pairs = values.iter().map(|value| (TRANSFER_ENCODING, HeaderValue::from_static(value)));
            assert_eq!(check_encoding(&pairs.collect()).is_ok(), is_known, "{values:?}");
        }
    }

    #[test]
    fn a_plain_head_asks_for_nothing() {
        let is_plain = |names: &[&'static str]| {
            let pair = |name: &&'static str| (HeaderName::from_static(name), HeaderValue::from_static("x"));
            super::is_plain(&names.iter().map(pair).collect())
        };
        assert!(is_plain(&[]) && is_plain(&["host", "user-agent", "accept", "content-type", "content-length"]));
        for name in [
            "x-api-key",
            "x-request-id",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "expect",
            "transfer-encoding",
            "content-encoding",
            "content-range",
            "origin",
            "sec-fetch-site",
            "access-control-request-method",
        ] {
            assert!(!is_plain(&["host", name, "accept"]), "{name}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (host, name) in [
            ("localhost", Some("localhost")),
            ("shop.example:8080", Some("shop.example")),
            ("127.0.0.1:5000", Some("127.0.0.1")),
            ("[::1]:5000", Some("::1")),
            ("[::1]", Some("::1")),
            ("a:", Some("a")),
            ("", None),
            (":80", None),
            ("[]", None),
            ("[::1", None),
            ("[::1]80", None),
            ("::1", None),
            ("a:b", None),
            ("a:123456", None),
            ("a b", None),
            ("a/b", None),
            ("user@a", None),
            ("a,b:1:2", None),
        ] {
            assert_eq!(host_name(host.as_bytes()), name.map(str::as_bytes), "{host}");
        }
    }
}
