//! The OpenAPI document at `/openapi.json` and `/openapi.yaml`, as the build merged it.

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::http::call::Call;
use crate::http::ops::check_method;
use crate::http::problem::Problem;

type Handled = Result<Response<Bytes>, Problem>;

const JSON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));
const YAML: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.yaml"));

/// Answers with the document as JSON.
///
/// # Errors
/// 405 for other methods than GET and HEAD.
pub fn json(call: &Call) -> Handled {
    document(call, JSON, "application/json")
}

/// Answers with the document as YAML.
///
/// # Errors
/// 405 for other methods than GET and HEAD.
pub fn yaml(call: &Call) -> Handled {
    document(call, YAML, "application/yaml")
}

fn document(call: &Call, bytes: &'static [u8], content_type: &'static str) -> Handled {
    check_method(call)?;
    let mut response = Response::new(Bytes::from_static(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}
