//! Builds responses: JSON, empty ones, and common headers.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::domain::tag::Tag;

/// The header of a stored response that is sent again for the same `Idempotency-Key`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A JSON response.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    json_text(status, serde_json::to_vec(body).expect("our own types always serialize"))
}

/// A JSON response from finished text.
pub fn json_text(status: StatusCode, text: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 304: the client has this version.
pub fn not_modified(tag: Tag) -> Response<Bytes> {
    with_tag(empty(StatusCode::NOT_MODIFIED), tag)
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Adds the entity tag.
pub fn with_tag(mut response: Response<Bytes>, tag: Tag) -> Response<Bytes> {
    let value = HeaderValue::try_from(tag.quoted()).expect("a tag is made of digits and a point");
    response.headers_mut().insert(ETAG, value);
    response
}

/// Lets only the browser that asked keep the response, and makes it ask each time whether it is current.
pub fn with_private(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// Adds the path of the created resource.
pub fn with_location(mut response: Response<Bytes>, path: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::try_from(path) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Marks a stored response that is sent again.
pub fn with_replayed(mut response: Response<Bytes>, replayed: bool) -> Response<Bytes> {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
