//! Lists of orders, merged from the parts of all shards. A customer's orders are on one shard, and only that is asked.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;

use super::order_json::{room_of, write_order};
use super::paging::{limit, with_link};
use crate::domain::order::{OrderRecord, OrderStatus, PaymentStatus};
use crate::error::{Invalid, Result};
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::HttpRequest;
use crate::http::response::json_text;
use crate::http::shop::Shop;
use crate::json::faults::{AllOf as _, Faults};
use crate::json::writer::Json;
use crate::protocol::{Command, ListOrders, OrderFilter, OrderList, Reply, Request};
use crate::routing::{CustomerId, OrderId};

/// The default size of a page.
const DEFAULT_LIMIT: u32 = 50;

/// One page of the list.
struct Page {
    orders: Vec<OrderRecord>,
    /// The order after which the next page begins; `None` at the end of the list.
    next: Option<OrderId>,
}

/// Lists orders, the newest first.
///
/// # Errors
/// 400 that names the parameter; the error of a shard that does not answer.
pub async fn list(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let list = query(request)?;
    let limit = list.limit as usize;
    let request_to_shards = Request::new(Command::ListOrders(list.clone()));
    let parts = match list.customer {
        Some(_) => vec![shop.client.call::<OrderList>(&request_to_shards).await],
        None => shop.client.call_each::<OrderList>(&request_to_shards).await,
    };
    let page = merge(parts, limit)?;
    let mut json = Json::with_capacity(64 + page.orders.iter().map(|order| room_of(order)).sum::<usize>());
    json.raw(r#"{"items":["#);
    for (index, order) in page.orders.iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        write_order(&mut json, order, &shop.client);
    }
    let next = page.next.map(|order| URL_SAFE_NO_PAD.encode(order.as_bytes()));
    json.raw(r#"],"next_cursor":"#).optional_string(next.as_deref()).raw("}");
    Ok(with_link(json_text(StatusCode::OK, json.into_bytes()), request, next.as_deref()))
}

/// The parameters of the list; others are ignored.
fn query(request: &HttpRequest) -> Result<ListOrders, Faults> {
    let customer = |text: &str| CustomerId::new(text).map_err(|invalid| invalid.at("customer_id"));
    let status = |text: &str| named("status", text, OrderStatus::ALL, OrderStatus::name);
    let payment = |text: &str| named("payment_status", text, PaymentStatus::ALL, PaymentStatus::name);
    let (customer, status, payment, after, limit) = (
        request.parameter_as("customer_id", customer),
        request.parameter_as("status", status),
        request.parameter_as("payment_status", payment),
        request.parameter_as("cursor", decode_cursor),
        request.parameter_as("limit", limit),
    )
        .all()?;
    let filter = OrderFilter { status, payment };
    Ok(ListOrders { customer, filter, after, limit: limit.unwrap_or(DEFAULT_LIMIT) })
}

fn named<T: Copy>(field: &'static str, text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, Invalid> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| Invalid::new(field, format!("must be one of {}", names())))
}

fn decode_cursor(text: &str) -> Result<OrderId, Invalid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.and_then(OrderId::from_bytes).ok_or_else(|| Invalid::new("cursor", "is not valid"))
}

/// Merges the parts. The page ends where the first of them does: after that, other parts could have orders that it lacks.
fn merge(parts: Vec<Reply<OrderList>>, limit: usize) -> Result<Page, Problem> {
    let (mut orders, mut reached) = (Vec::new(), None);
    for part in parts {
        let part = part.result?.body;
        orders.extend(part.orders);
        reached = reached.max(part.reached);
    }
    orders.retain(|order| reached.is_none_or(|reached| order.id >= reached));
    orders.sort_unstable_by_key(|order| Reverse(order.id));
    if orders.len() > limit {
        orders.truncate(limit);
        reached = orders.last().map(|order| order.id);
    }
    Ok(Page { orders, next: reached })
}
