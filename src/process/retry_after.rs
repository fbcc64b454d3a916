//! The pause that a server asks for: `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The pause that `Retry-After` asks for at a time; `None` when it is missing or malformed. A date that has passed asks
/// for no pause.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T14:26:53Z".parse().unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("Mon, 23 Nov 2026 14:27:03 GMT", Some(10)),
            ("Mon, 23 Nov 2026 14:00:00 GMT", Some(0)),
            ("99999999999999999999", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
