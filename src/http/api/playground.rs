//! Endpoints of a playground: the counts of its simulated shoppers, and the buttons that make its processes crash. In any
//! other store these paths do not exist.

use http::StatusCode;
use serde_json::json;

use crate::error::Error;
use crate::http::browsers::is_of_another_origin;
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::HttpRequest;
use crate::http::response;
use crate::http::shop::Shop;
use crate::json::object::JsonObject;
use crate::playground::{GatewayMode, Link, MAX_RATE};

endpoints! {
    pub ENDPOINTS:
    "playground" => { GET | HEAD => count }
    "playground" / "rate" => { POST => rate }
    "playground" / "crash" => { POST => crash }
    "playground" / "gateway" => { POST => gateway }
}

/// `GET /playground`: what the shoppers have counted.
async fn count(shop: &Shop, _: &HttpRequest) -> HttpResult {
    let link = shop.playground.as_ref().ok_or_else(Problem::no_such_path)?;
    Ok(response::json(StatusCode::OK, &link.count().await?))
}

/// `POST /playground/rate`: changes how much they shop.
async fn rate(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let (link, body) = button(shop, request)?;
    link.set_rate(body.u32_in("per_s", 0, MAX_RATE)?).await?;
    Ok(accepted())
}

/// `POST /playground/crash`: kills a process with SIGKILL.
async fn crash(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let (link, body) = button(shop, request)?;
    link.crash(body.str("target")?).await?;
    Ok(accepted())
}

/// `POST /playground/gateway`: changes how the simulated payment gateway behaves.
async fn gateway(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let (link, body) = button(shop, request)?;
    let mode = body.str("mode")?.parse::<GatewayMode>().map_err(|error| match error {
        Error::Invalid(invalid) => Error::Invalid(body.named("mode", invalid)),
        other => other,
    })?;
    link.set_gateway(mode).await?;
    Ok(accepted())
}

/// The way to the launcher and the body of a request that presses a button. No page of another origin may, also one that
/// may otherwise use the store.
fn button<'a>(shop: &'a Shop, request: &'a HttpRequest) -> Result<(&'a Link, JsonObject<'a>), Problem> {
    let link = shop.playground.as_ref().ok_or_else(Problem::no_such_path)?;
    if is_of_another_origin(&request.headers) {
        return Err(Problem::not_same_origin());
    }
    Ok((link, request.members()?))
}

fn accepted() -> ::http::Response<bytes::Bytes> {
    response::json(StatusCode::ACCEPTED, &json!({}))
}
