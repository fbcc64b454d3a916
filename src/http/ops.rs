//! For whoever runs it: `/livez`, `/readyz`, `/metrics`.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use serde::Serialize;

use super::call::Call;
use super::metrics::Metrics;
use super::problem::Problem;
use super::response::json;
use crate::client::Client;
use crate::error::Error;

type Handled = Result<Response<Bytes>, Problem>;

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    ready: usize,
    shards: usize,
}

/// Only reading is possible.
///
/// # Errors
/// 405 for other methods.
pub fn check_method(call: &Call) -> Result<(), Problem> {
    match call.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::method_not_allowed("GET, HEAD")),
    }
}

/// The process answers.
pub fn livez(call: &Call) -> Handled {
    check_method(call)?;
    Ok(json(StatusCode::OK, &Alive { status: "alive" }))
}

/// Every shard answers, or with `?shards=N` at least so many do.
pub async fn readyz(client: &Client, call: &Call, query: Option<&str>) -> Handled {
    check_method(call)?;
    let needed = needed_shards(query, client.shards())?;
    let ready = client.ping().await.into_iter().filter(|answered| *answered).count();
    if ready < needed {
        let detail = format!("{ready} of {} shards answer, {needed} are needed", client.shards());
        return Err(Problem::from(Error::Unavailable(detail)));
    }
    Ok(json(StatusCode::OK, &Ready { status: "ready", ready, shards: client.shards() }))
}

fn needed_shards(query: Option<&str>, shards: usize) -> Result<usize, Problem> {
    let value = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("shards="));
    let Some(value) = value else { return Ok(shards) };
    let needed = value.parse().ok().filter(|needed| (1..=shards).contains(needed));
    needed.ok_or_else(|| Problem::invalid(format!("shards: must be 1 to {shards}")))
}

/// Metrics in the text format of Prometheus.
pub async fn metrics(client: &Client, call: &Call, metrics: &Metrics) -> Handled {
    check_method(call)?;
    let text = metrics.render(client.status().await).map_err(|error| Error::Fault(format!("metrics: {error}")))?;
    let mut response = Response::new(Bytes::from(text));
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}
