//! The pages for people, and the index that programs get in place of one.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION, VARY};
use serde::Serialize;

use crate::http::endpoint::endpoints;
use crate::http::head::accepts_html;
use crate::http::page;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{empty, json};
use crate::http::shop::Shop;

endpoints! {
    pub ENDPOINTS:
    => { GET | HEAD => index }
    "shop" => { GET | HEAD => shop_front }
    "assets" / {file} => { GET | HEAD => asset }
}

#[derive(Serialize)]
struct Index {
    name: &'static str,
    version: &'static str,
    links: Links,
}

/// Links to descriptions, probes and pages.
#[derive(Serialize)]
struct Links {
    docs: &'static str,
    openapi: &'static str,
    metrics: &'static str,
    readiness: &'static str,
    shop: &'static str,
}

/// `GET /`: the page for a browser; for tools that do not know the API yet, the program and its links.
async fn index(_: &Shop, request: &HttpRequest) -> HttpResult {
    let mut response = if accepts_html(&request.headers) {
        page::respond(request, &page::STATUS)?
    } else {
        let links = Links {
            docs: "/docs/",
            openapi: "/openapi.json",
            metrics: "/metrics",
            readiness: "/readyz",
            shop: "/shop",
        };
        json(StatusCode::OK, &Index { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), links })
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn shop_front(_: &Shop, request: &HttpRequest) -> HttpResult {
    if !request.uri.path().ends_with('/') {
        return page::respond(request, &page::SHOP);
    }
    // The links of the page need the path without a slash. The target is relative, so that it also works behind a prefix.
    let mut response = empty(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("../shop"));
    Ok(response)
}

async fn asset(_: &Shop, request: &HttpRequest, file: PathSegment) -> HttpResult {
    let file = page::find(&file.decode()?).ok_or_else(Problem::no_such_path)?;
    page::respond(request, file)
}
