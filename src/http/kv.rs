//! The key-value API: `/{key}` on its own port and `/kv/{key}` with the shop.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use serde::Serialize;

use super::call::{Call, Segment};
use super::problem::Problem;
use super::response::{empty, json, with_tag};
use crate::client::Client;
use crate::domain::tag::Tag;
use crate::domain::value::{self, MAX_VALUE_BYTES, Value};
use crate::protocol::{self, Command, Request, ValueCommand};
use crate::routing::KvKey;

type Handled = Result<Response<Bytes>, Problem>;

#[derive(Serialize)]
struct Written<'a> {
    key: &'a str,
    version: u64,
}

/// One value.
pub async fn value(client: &Client, call: &Call, key: Segment) -> Handled {
    if ![Method::GET, Method::HEAD, Method::PUT, Method::DELETE].contains(&call.method) {
        return Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE"));
    }
    let key = KvKey::new(key.decode("key")?)?;
    match call.method {
        Method::PUT => put(client, call, key).await,
        Method::DELETE => delete(client, call, key).await,
        _ => get(client, call, key).await,
    }
}

async fn get(client: &Client, call: &Call, key: KvKey) -> Handled {
    let request = Request::new(Command::Value { key, command: ValueCommand::Get });
    let value = client.call::<Value>(&request).await.result?.body;
    let tag = Tag::of_version(value.version);
    if call.has_current(tag)? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), tag));
    }
    let mut response = Response::new(Bytes::from(value.text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(with_tag(response, tag))
}

async fn put(client: &Client, call: &Call, key: KvKey) -> Handled {
    if call.body.len() > MAX_VALUE_BYTES {
        return Err(Problem::too_large(MAX_VALUE_BYTES));
    }
    let text = value::check_text(&call.body)?.to_owned();
    let request = call.plain_change(Command::Value { key: key.clone(), command: ValueCommand::Put { text } })?;
    let answer = client.call::<protocol::Written>(&request).await.result?;
    let version = answer.body.version;
    let status = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_tag(json(status, &Written { key: key.as_str(), version }), Tag::of_version(version)))
}

async fn delete(client: &Client, call: &Call, key: KvKey) -> Handled {
    let request = call.plain_change(Command::Value { key: key.clone(), command: ValueCommand::Delete })?;
    let answer = client.call::<protocol::Written>(&request).await.result?;
    Ok(json(StatusCode::OK, &Written { key: key.as_str(), version: answer.body.version }))
}
