//! Deliveries of orders.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::domain::delivery::{DEFAULT_COURIER, Delivery, DeliveryStatus, check_address, check_courier};
use crate::error::{Error, Invalid};
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json_text, not_modified, with_location, with_replayed, with_tag};
use crate::http::shop::Shop;
use crate::json::faults::AllOf as _;
use crate::json::object::JsonObject;
use crate::json::writer::Json;
use crate::protocol::{Command, DeliveryCommand};
use crate::routing::{DeliveryId, OrderId};

endpoints! {
    pub ENDPOINTS:
    "api" / "delivery" => { POST => create }
    "api" / "delivery" / {id} => { GET | HEAD => show, PATCH => update }
}

/// The room for a delivery's JSON, in bytes; most need less.
const DELIVERY_BYTES: usize = 320;

fn delivery_response(status: StatusCode, delivery: &Delivery) -> Response<Bytes> {
    let mut json = Json::with_capacity(DELIVERY_BYTES);
    json.raw(r#"{"delivery_id":"#).string(&delivery.id.to_string());
    json.raw(r#","order_id":"#).string(&delivery.order.to_string());
    json.raw(r#","address":"#).string(&delivery.address);
    json.raw(r#","courier":"#).string(&delivery.courier);
    json.raw(r#","status":"#).string(delivery.status.name());
    json.raw(r#","updated_at":"#).time(Some(delivery.updated_at)).raw("}");
    with_tag(json_text(status, json.into_bytes()), delivery.tag())
}

async fn create(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let members = request.members()?;
    let (order, address, courier) = (members.str("order_id"), address(&members), courier(&members)).all()?;
    let order = OrderId::parse(&order);
    let order = order.ok_or_else(|| Problem::from(Error::NotFound("order_id: there is no such order".into())))?;
    let command = Command::Delivery(DeliveryCommand::Create { order, address, courier });
    let (answer, replayed) = shop.write::<Delivery>(request, command).await?;
    let response = delivery_response(StatusCode::CREATED, &answer.body);
    Ok(with_replayed(with_location(response, &format!("/api/delivery/{}", answer.body.id)), replayed))
}

fn address(members: &JsonObject<'_>) -> Result<String, Invalid> {
    let address = members.str("address")?;
    check_address(&address)?;
    Ok(address)
}

fn courier(members: &JsonObject<'_>) -> Result<String, Invalid> {
    let courier = members.optional_str("courier")?.unwrap_or_else(|| DEFAULT_COURIER.to_owned());
    check_courier(&courier)?;
    Ok(courier)
}

async fn show(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let command = Command::Delivery(DeliveryCommand::Get(parse(id)?));
    let delivery = shop.read::<Delivery>(request, command).await?.body;
    if request.has_current(delivery.tag())? {
        return Ok(not_modified(delivery.tag()));
    }
    Ok(delivery_response(StatusCode::OK, &delivery))
}

async fn update(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let delivery = parse(id)?;
    let status = DeliveryStatus::parse(&request.members()?.str("status")?)?;
    let command = Command::Delivery(DeliveryCommand::Move { delivery, status });
    let (answer, replayed) = shop.write::<Delivery>(request, command).await?;
    Ok(with_replayed(delivery_response(StatusCode::OK, &answer.body), replayed))
}

fn parse(id: PathSegment) -> Result<DeliveryId, Problem> {
    let id = DeliveryId::parse(&id.decode()?);
    id.ok_or_else(|| Problem::from(Error::NotFound("there is no such delivery".into())))
}
