//! The key-value API: `/kv/{key}` on the shop's ports, and `/{key}` on a port of its own.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::domain::tag::Tag;
use crate::domain::value::{self, MAX_VALUE_BYTES, Value};
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json, not_modified, with_replayed, with_tag};
use crate::http::shop::Shop;
use crate::protocol::{Command, ValueCommand, Written};
use crate::routing::KvKey;

endpoints! {
    pub ENDPOINTS:
    "kv" / {key} => { GET | HEAD => show, PUT => put, DELETE => delete }
}
endpoints! {
    /// The endpoint of the key-value port.
    pub PORT:
    {key} => { GET | HEAD => show, PUT => put, DELETE => delete }
}

/// The body of the response to a write.
#[derive(Serialize)]
struct KeyVersion<'a> {
    key: &'a str,
    version: u64,
}

async fn show(shop: &Shop, request: &HttpRequest, key: PathSegment) -> HttpResult {
    let key = KvKey::new(key.decode()?)?;
    let value = shop.read::<Value>(request, Command::Value { key, command: ValueCommand::Get }).await?.body;
    let tag = Tag::of_version(value.version);
    if request.has_current(tag)? {
        return Ok(not_modified(tag));
    }
    let mut response = Response::new(Bytes::from(value.text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(with_tag(response, tag))
}

async fn put(shop: &Shop, request: &HttpRequest, key: PathSegment) -> HttpResult {
    let key = KvKey::new(key.decode()?)?;
    if request.body.len() > MAX_VALUE_BYTES {
        return Err(Problem::too_large(MAX_VALUE_BYTES));
    }
    let text = value::check_text(&request.body)?.to_owned();
    let command = Command::Value { key: key.clone(), command: ValueCommand::Put { text } };
    let (answer, replayed) = shop.write::<Written>(request, command).await?;
    let version = answer.body.version;
    let status = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
    let response = with_tag(json(status, &KeyVersion { key: key.as_str(), version }), Tag::of_version(version));
    Ok(with_replayed(response, replayed))
}

async fn delete(shop: &Shop, request: &HttpRequest, key: PathSegment) -> HttpResult {
    let key = KvKey::new(key.decode()?)?;
    let command = Command::Value { key: key.clone(), command: ValueCommand::Delete };
    let (answer, replayed) = shop.write::<Written>(request, command).await?;
    let body = KeyVersion { key: key.as_str(), version: answer.body.version };
    Ok(with_replayed(json(StatusCode::OK, &body), replayed))
}
