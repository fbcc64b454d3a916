//! What the store is doing: figures, their stream, the load of the slots, and the shard of a customer.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use serde::Serialize;

use crate::error::Invalid;
use crate::http::endpoint::endpoints;
use crate::http::problem::HttpResult;
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{empty, json, json_text};
use crate::http::shop::Shop;
use crate::http::status::MAX_SECONDS;
use crate::routing::CustomerId;

endpoints! {
    pub ENDPOINTS:
    "status" => { GET | HEAD => status }
    "status" / "stream" => { GET | HEAD => stream }
    "status" / "slots" => { GET | HEAD => slots }
    "where" / {customerId} => { GET | HEAD => whereabouts }
}

/// The place of a customer's records.
#[derive(Serialize)]
struct Whereabouts<'a> {
    customer_id: &'a str,
    hash: String,
    slot: u16,
    shard: usize,
}

/// `GET /status`: the newest snapshot, with `?history=N` also the last N seconds.
async fn status(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let body = match request.parameter("history")? {
        None => shop.board.latest().await?.json(),
        Some(text) => {
            let seconds = text.parse().ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
            let seconds = seconds.ok_or_else(|| Invalid::new("history", format!("must be 1 to {MAX_SECONDS}")))?;
            shop.board.with_history(seconds).await?
        }
    };
    Ok(never_kept(json_text(StatusCode::OK, body)))
}

/// `GET /status/stream`: each snapshot as a server-sent event.
async fn stream(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let mut response = never_kept(empty(StatusCode::OK));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    if request.method == Method::GET {
        // The service, which has the connection, makes a stream of it.
        response.extensions_mut().insert(shop.board.viewer()?);
    }
    Ok(response)
}

/// `GET /status/slots`: the load of each slot.
async fn slots(shop: &Shop, _: &HttpRequest) -> HttpResult {
    Ok(never_kept(json_text(StatusCode::OK, shop.board.slots().await?.json())))
}

/// `GET /where/{customerId}`: hash, slot and shard of a customer, whether there is a cart or not. No shard is asked.
async fn whereabouts(shop: &Shop, _: &HttpRequest, customer: PathSegment) -> HttpResult {
    let customer = CustomerId::new(customer.decode()?)?;
    let hash = customer.hash();
    let place = Whereabouts {
        customer_id: customer.as_str(),
        hash: format!("{:016x}", hash.bits()),
        slot: hash.slot().0,
        shard: shop.client.owner(hash),
    };
    Ok(never_kept(json(StatusCode::OK, &place)))
}

fn never_kept(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
