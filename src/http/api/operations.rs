//! Endpoints for operators and tools: probes, metrics, the API's description.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::error::{Error, Invalid};
use crate::http::endpoint::endpoints;
use crate::http::openapi;
use crate::http::problem::{HttpResult, Problem};
use crate::http::problem_type::ProblemType;
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::json;
use crate::http::shop::Shop;

endpoints! {
    pub ENDPOINTS:
    "livez" => { GET | HEAD => livez }
    "readyz" => { GET | HEAD => readyz }
    "metrics" => { GET | HEAD => metrics }
    "openapi.json" => { GET | HEAD => openapi_json }
    "openapi.yaml" => { GET | HEAD => openapi_yaml }
    "problems" / {name} => { GET | HEAD => problem_type }
    "docs" => { GET | HEAD => docs }
    "docs" / {file} => { GET | HEAD => docs_file }
}

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

/// `GET /livez`: the process answers.
async fn livez(_: &Shop, _: &HttpRequest) -> HttpResult {
    Ok(json(StatusCode::OK, &Alive { status: "alive" }))
}

/// `GET /readyz`: every shard answers or, with `?shards=N`, at least N of them.
async fn readyz(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let shards = shop.client.shards();
    let needed = match request.parameter("shards")? {
        None => shards,
        Some(text) => {
            let needed = text.parse().ok().filter(|needed| (1..=shards).contains(needed));
            needed.ok_or_else(|| Invalid::new("shards", format!("must be 1 to {shards}")))?
        }
    };
    let ready = shop.client.ping().await.into_iter().filter(|answered| *answered).count();
    if ready < needed {
        let detail = format!("{ready} of {shards} shards answer, {needed} are needed");
        return Err(Problem::from(Error::Unavailable(detail)));
    }
    Ok(json(StatusCode::OK, &Ready { status: "ready", ready, shards }))
}

/// `GET /metrics`: metrics in the text format of OpenMetrics.
async fn metrics(shop: &Shop, _: &HttpRequest) -> HttpResult {
    let mut response = Response::new(shop.board.latest().await?.metrics()?);
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// `GET /problems/{name}`: the text about a type of problem.
async fn problem_type(_: &Shop, _: &HttpRequest, name: PathSegment) -> HttpResult {
    let known = ProblemType::of_name(&name.decode()?);
    let known = known.ok_or_else(|| Error::NotFound("there is no such type of problem".into()))?;
    let text = format!("{}\n\n{}\n\ncode: {}\n", known.name, known.text, known.codes.join(", "));
    let mut response = Response::new(Bytes::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

async fn openapi_json(_: &Shop, request: &HttpRequest) -> HttpResult {
    Ok(openapi::compressed("openapi.json", &request.headers, openapi::json()).await?)
}

async fn openapi_yaml(_: &Shop, request: &HttpRequest) -> HttpResult {
    Ok(openapi::compressed("openapi.yaml", &request.headers, openapi::yaml()).await?)
}

async fn docs(_: &Shop, request: &HttpRequest) -> HttpResult {
    // The links of Swagger UI's page need the slash after `/docs`.
    if request.uri.path().ends_with('/') { openapi::docs("") } else { Ok(openapi::to_docs()) }
}

async fn docs_file(_: &Shop, request: &HttpRequest, file: PathSegment) -> HttpResult {
    let file = file.decode()?;
    let found = openapi::docs(&file)?;
    Ok(openapi::compressed(&format!("docs/{file}"), &request.headers, found).await?)
}
