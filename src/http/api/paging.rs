//! What lists have in common: how many items a page has, and the link to the next one.

use bytes::Bytes;
use http::Response;
use http::header::{HeaderValue, LINK};

use crate::error::Invalid;
use crate::http::request::HttpRequest;
use crate::protocol::MAX_LIST;

/// Reads a `limit`.
///
/// # Errors
/// [`Invalid`] unless it is 1 to [`MAX_LIST`].
pub fn limit(text: &str) -> Result<u32, Invalid> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIST).contains(limit));
    limit.ok_or_else(|| Invalid::new("limit", format!("must be 1 to {MAX_LIST}")))
}

/// Adds a `Link` to the next page: the same request with another cursor.
pub fn with_link(mut response: Response<Bytes>, request: &HttpRequest, next: Option<&str>) -> Response<Bytes> {
    let Some(next) = next else { return response };
    let mut query = form_urlencoded::Serializer::new(String::new());
    let asked = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(asked.filter(|(name, _)| name != "cursor")).append_pair("cursor", next);
    let link = format!("<{}?{}>; rel=\"next\"", request.uri.path(), query.finish());
    if let Ok(value) = HeaderValue::try_from(link) {
        response.headers_mut().insert(LINK, value);
    }
    response
}
