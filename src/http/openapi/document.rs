//! The OpenAPI document at `/openapi.json` and `/openapi.yaml`, as the build merged it.

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

const JSON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));
const YAML: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.yaml"));

/// The document as JSON.
pub fn json() -> Response<Bytes> {
    document(JSON, "application/json")
}

/// The document as YAML.
pub fn yaml() -> Response<Bytes> {
    document(YAML, "application/yaml")
}

fn document(bytes: &'static [u8], content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
