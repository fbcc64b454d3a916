//! Building answers: JSON, entity tags, numbers that never pass through a float.

use std::fmt::Display;
use std::io::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::tag::Tag;
use crate::domain::time::Timestamp;

/// Tells that an answer was given before, to the same `Idempotency-Key`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Most answers fit; a cart of five lines takes about 800 bytes.
const BODY_CAPACITY: usize = 1_024;
/// Digits of the longest decimal: a total of 128 bits, its point and sign.
const MAX_DECIMAL_BYTES: usize = 48;

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let mut bytes = Vec::with_capacity(BODY_CAPACITY);
    serde_json::to_writer(&mut bytes, body).expect("our own types always serialize, and memory takes what is written");
    let mut response = Response::new(Bytes::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Adds the entity tag.
pub fn with_tag(mut response: Response<Bytes>, tag: Tag) -> Response<Bytes> {
    let value = HeaderValue::try_from(format!("\"{tag}\"")).expect("a tag is made of digits and a point");
    response.headers_mut().insert(ETAG, value);
    response
}

/// Marks an answer that was given before.
pub fn with_replayed(mut response: Response<Bytes>, replayed: bool) -> Response<Bytes> {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Serializes a decimal as a JSON number with exactly the digits that it displays.
pub struct Decimal<T>(pub T);

impl<T: Display> Serialize for Decimal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; MAX_DECIMAL_BYTES];
        let mut rest = &mut buffer[..];
        write!(rest, "{}", self.0).map_err(serde::ser::Error::custom)?;
        let length = MAX_DECIMAL_BYTES - rest.len();
        let number: &RawValue = serde_json::from_slice(&buffer[..length]).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

/// Serializes a time as RFC 3339 text.
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
