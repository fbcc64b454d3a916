//! What describes the API: the OpenAPI document, written by hand in the sections beside this file,
//! and Swagger UI, which shows it.
//!
//! By hand, because a path's handler takes all its methods and the hot answers are written as bytes:
//! there are no types to derive it from. Tests hold it against the router and against real answers.

mod docs;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::call::Call;
use super::ops::check_method;
use super::problem::Problem;
pub use docs::docs;

type Handled = Result<Response<Bytes>, Problem>;

const JSON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));
const YAML: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.yaml"));

/// The document as JSON.
pub fn json(call: &Call) -> Handled {
    document(call, JSON, "application/json")
}

/// The document as YAML, as it was written.
pub fn yaml(call: &Call) -> Handled {
    document(call, YAML, "application/yaml")
}

fn document(call: &Call, bytes: &'static [u8], content_type: &'static str) -> Handled {
    check_method(call)?;
    let mut response = Response::new(Bytes::from_static(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}
