//! Building answers: JSON, entity tags, empty ones.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::domain::tag::Tag;

/// Tells that an answer was given before, to the same `Idempotency-Key`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    json_text(status, serde_json::to_vec(body).expect("our own types always serialize"))
}

/// A JSON answer that is already written.
pub fn json_text(status: StatusCode, bytes: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 304: the client has this version.
pub fn not_modified(tag: Tag) -> Response<Bytes> {
    with_tag(empty(StatusCode::NOT_MODIFIED), tag)
}

/// An answer without a body.
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

/// Says where what was made is.
pub fn with_location(mut response: Response<Bytes>, path: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::try_from(path) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Marks an answer that was given before.
pub fn with_replayed(mut response: Response<Bytes>, replayed: bool) -> Response<Bytes> {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
