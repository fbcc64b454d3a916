//! Deliveries: `/api/delivery` and `/api/delivery/{id}`.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::call::{Call, Segment};
use super::problem::Problem;
use super::products::{check_method, failed};
use super::response::{empty, json_text, with_location, with_replayed, with_tag};
use crate::client::Client;
use crate::domain::delivery::{DEFAULT_COURIER, Delivery, DeliveryStatus, check_address, check_courier};
use crate::error::Error;
use crate::json::writer::Json;
use crate::protocol::{Command, DeliveryCommand, Request};
use crate::routing::{DeliveryId, OrderId};

type Handled = Result<Response<Bytes>, Problem>;

/// Bytes that most deliveries take.
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

async fn run(client: &Client, request: &Request) -> Result<(Delivery, bool), Problem> {
    let reply = client.call(request).await;
    let answer = reply.result.map_err(|error| failed(error, reply.replayed))?;
    Ok((answer.body, reply.replayed))
}

/// `POST /api/delivery`.
pub async fn create(client: &Client, call: &Call) -> Handled {
    check_method(call, &[Method::POST], "POST")?;
    let members = call.members()?;
    let order = members.required_text("order_id")?;
    let address = members.required_text("address")?;
    check_address(&address)?;
    let courier = members.text("courier")?.unwrap_or_else(|| DEFAULT_COURIER.to_owned());
    check_courier(&courier)?;
    let order = OrderId::parse(&order);
    let order = order.ok_or_else(|| Problem::from(Error::NotFound("order_id: there is no such order".into())))?;
    let request = call.change(Command::Delivery(DeliveryCommand::Create { order, address, courier }))?;
    let (delivery, replayed) = run(client, &request).await?;
    let response = delivery_response(StatusCode::CREATED, &delivery);
    Ok(with_replayed(with_location(response, &format!("/api/delivery/{}", delivery.id)), replayed))
}

/// `/api/delivery/{id}`.
pub async fn one(client: &Client, call: &Call, id: Segment) -> Handled {
    check_method(call, &[Method::GET, Method::HEAD, Method::PATCH], "GET, HEAD, PATCH")?;
    let id = DeliveryId::parse(&id.decode("id")?);
    let delivery = id.ok_or_else(|| Problem::from(Error::NotFound("there is no such delivery".into())))?;
    if call.method == Method::PATCH {
        let status = DeliveryStatus::parse(&call.members()?.required_text("status")?)?;
        let request = call.change(Command::Delivery(DeliveryCommand::Move { delivery, status }))?;
        let (delivery, replayed) = run(client, &request).await?;
        return Ok(with_replayed(delivery_response(StatusCode::OK, &delivery), replayed));
    }
    let (delivery, _) = run(client, &Request::new(Command::Delivery(DeliveryCommand::Get(delivery)))).await?;
    if call.has_current(delivery.tag())? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), delivery.tag()));
    }
    Ok(delivery_response(StatusCode::OK, &delivery))
}
