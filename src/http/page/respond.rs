//! The answer with a file of the pages.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

use super::files::File;
use crate::http::problem::Problem;
use crate::http::request::HttpRequest;
use crate::http::response::{not_modified, with_tag};

/// The content security policy: the store's own files only, no code or style in a page's text, no page around this one,
/// and no form that a browser would send by itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Answers with a file, which a browser may keep, and asks for again by its tag.
///
/// # Errors
/// 400 for a malformed `If-None-Match`.
pub fn respond(request: &HttpRequest, file: &'static File) -> Result<Response<Bytes>, Problem> {
    let tag = file.tag();
    let mut response = match request.has_current(tag)? {
        true => not_modified(tag),
        false => with_tag(Response::new(Bytes::from_static(file.bytes)), tag),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}
