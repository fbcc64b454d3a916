//! What `Content-Type` says that a body is.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// True for a type whose body may be read as the members of a record. A JSON patch (RFC 6902) has operations.
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    let is_record = |subtype: &str| subtype.ends_with("+json") && subtype != "json-patch+json";
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().strip_prefix("application/").is_some_and(is_record)
}

/// True for a merge patch (RFC 7396).
pub fn is_merge_patch(headers: &HeaderMap) -> bool {
    essence(headers).eq_ignore_ascii_case("application/merge-patch+json")
}

/// The media type without its parameters; empty when there is none.
fn essence(headers: &HeaderMap) -> &str {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn declared(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn json_is_told_from_other_types() {
        for text in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(&declared(text)), "{text}");
        }
        for text in ["", "text/plain", "application/jsonx", "text/json", "Application/JSON-patch+json"] {
            assert!(!is_json(&declared(text)), "{text}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_merge_patch_is_told_from_other_json() {
        assert!(is_merge_patch(&declared("application/Merge-Patch+json; charset=utf-8")));
        assert!(!is_merge_patch(&declared("application/json")));
    }
}
