//! Swagger UI at `/docs/`, from files in the binary.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

use crate::error::Error;
use crate::http::problem::{HttpResult, Problem};
use crate::http::response::empty;

/// The content security policy: nothing from other origins, and no scripts but Swagger UI's files. Swagger UI sets
/// styles and images inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The settings of Swagger UI. The document's path is relative to `/docs/`, so that it also works behind a prefix. The
/// validator is off, since it is another site's service. API keys are not kept in the browser, where every script of
/// the page's origin could read them.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("../openapi.json").validator_url("none").display_request_duration(true);
    Arc::new(config.persist_authorization(false).try_it_out_enabled(true))
});

/// Redirects from `/docs` to the page. The target is relative, so that it also works behind a prefix.
pub fn to_docs() -> Response<Bytes> {
    let mut response = empty(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("docs/"));
    response
}

/// A file of Swagger UI; the page itself for an empty name.
///
/// # Errors
/// 404 for an unknown file.
pub fn docs(file: &str) -> HttpResult {
    let found = serve(file, CONFIG.clone()).map_err(|error| Error::Internal(format!("Swagger UI: {error}")))?;
    found.map_or_else(|| Err(Problem::no_such_path()), respond)
}

fn respond(file: SwaggerFile<'static>) -> HttpResult {
    let content_type = HeaderValue::try_from(with_charset(file.content_type))
        .map_err(|error| Error::Internal(format!("Swagger UI: {error}")))?;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = Response::new(bytes);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

fn with_charset(content_type: String) -> String {
    if content_type.starts_with("text/") { content_type + "; charset=utf-8" } else { content_type }
}
