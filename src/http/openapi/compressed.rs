//! Compresses what a browser loads: Swagger UI and the document are 1.8 MB, and compressed a fifth of that. Each file is
//! compressed once, beside the worker, and kept.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, Response};

use crate::error::{Error, Result};

/// The shortest body that is compressed, in bytes: below it the header costs more than it saves.
const MIN_BYTES: usize = 1_024;

/// The files that were asked for, compressed. The files are in the binary, so there are only so many.
static COMPRESSED: Mutex<BTreeMap<String, Bytes>> = Mutex::new(BTreeMap::new());

/// Compresses the file `name` for a client that takes it so.
///
/// # Errors
/// [`Error::Internal`] when it cannot be compressed.
pub async fn compressed(name: &str, asked: &HeaderMap, mut response: Response<Bytes>) -> Result<Response<Bytes>> {
    if response.body().len() < MIN_BYTES {
        return Ok(response);
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if !takes_gzip(asked) {
        return Ok(response);
    }
    let known = COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    let body = match known {
        Some(body) => body,
        None => {
            let plain = response.body().clone();
            let fault = |error: &dyn std::fmt::Display| Error::Internal(format!("cannot compress {name}: {error}"));
            let task = tokio::task::spawn_blocking(move || gzip(&plain)).await;
            let body = task.map_err(|error| fault(&error))?.map_err(|error| fault(&error))?;
            COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), body.clone());
            body
        }
    };
    *response.body_mut() = body;
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(response)
}

fn gzip(plain: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain)?;
    encoder.finish().map(Bytes::from)
}

/// True when `Accept-Encoding` has gzip with a weight above 0 (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let weight_of = |wanted: &str| {
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(wanted))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0_f32)))
        })
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_must_be_asked_for() {
        for (value, takes) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=0.5, br", true),
            ("*", true),
            ("br, *;q=0.1", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*, gzip;q=0", false),
            ("gzip;q=x", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
