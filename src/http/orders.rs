//! Orders: `/purchase/{bookId}`, `/api/orders`, `/checkout/{customerId}`.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::call::{Call, Segment};
use super::problem::Problem;
use super::products::{check_method, failed};
use super::response::{empty, json_text, with_location, with_replayed, with_tag};
use crate::client::Client;
use crate::domain::card::Card;
use crate::domain::cart::MAX_COUNT;
use crate::domain::delivery::check_address;
use crate::domain::order::{Facts, MAX_ORDER_LINES, OrderRecord, OrderedItem, Recorded, Status, add_together};
use crate::error::Error;
use crate::json::object::Members;
use crate::json::writer::Json;
use crate::protocol::{Basket, Command, OrderCommand, PlaceOrder, Placed, Request};
use crate::routing::{CustomerId, OrderId, ProductId};

type Handled = Result<Response<Bytes>, Problem>;

/// Bytes that an order takes beside its lines.
const ORDER_BYTES: usize = 768;
/// Bytes that most of its lines take.
const LINE_BYTES: usize = 96;

async fn place(client: &Client, request: &Request) -> Result<(Placed, bool), Problem> {
    let reply = client.call(request).await;
    let answer = reply.result.map_err(|error| failed(error, reply.replayed))?;
    Ok((answer.body, reply.replayed))
}

fn path_of(order: &Facts) -> String {
    format!("/api/orders/{}", order.id)
}

/// `POST /purchase/{bookId}`.
pub async fn purchase(client: &Client, call: &Call, id: Segment) -> Handled {
    check_method(call, &[Method::POST], "POST")?;
    let id = ProductId::named("bookId", id.decode("bookId")?)?;
    let order = PlaceOrder { basket: Basket::Purchase(id.clone()), card: None };
    let (placed, replayed) = place(client, &call.change(Command::Order(OrderCommand::Place(order)))?).await?;
    let price = placed.order.lines.first().and_then(|line| line.price).unwrap_or_default();
    let mut json = Json::with_capacity(ORDER_BYTES);
    json.raw(r#"{"order_id":"#).string(&placed.order.id.to_string());
    json.raw(r#","id":"#).string(id.as_str());
    json.raw(r#","title":"#).string(&placed.title);
    json.raw(r#","price":"#).money(price);
    json.raw(r#","remaining":"#).integer(placed.remaining).raw("}");
    let response = with_location(json_text(StatusCode::CREATED, json.into_bytes()), &path_of(&placed.order));
    Ok(with_replayed(with_tag(response, placed.order.tag()), replayed))
}

/// `POST /api/orders`.
pub async fn create(client: &Client, call: &Call) -> Handled {
    check_method(call, &[Method::POST], "POST")?;
    let members = call.members()?;
    let customer = CustomerId::named("customer_id", members.required_text("customer_id")?)?;
    let lines = members.objects("items", MAX_ORDER_LINES)?;
    let lines = lines.iter().map(wanted).collect::<Result<Vec<_>, Problem>>()?;
    let card = card(&members)?;
    let basket = Basket::Books { customer, lines: add_together(lines, MAX_COUNT)? };
    let request = call.change(Command::Order(OrderCommand::Place(PlaceOrder { basket, card })))?;
    let (placed, replayed) = place(client, &request).await?;
    Ok(with_replayed(created(&placed.order, false), replayed))
}

fn wanted(line: &Members<'_>) -> Result<OrderedItem, Problem> {
    let isbn = line.text_or_integer("isbn")?;
    let product =
        ProductId::new(isbn).map_err(|error| line.invalid("isbn", error.detail().trim_start_matches("id: ")))?;
    Ok(OrderedItem { product, count: line.count("quantity", 1, MAX_COUNT)? })
}

/// The card of a body; none when `payment` or its `card_number` is missing or empty.
fn card(members: &Members<'_>) -> Result<Option<Card>, Problem> {
    let Some(payment) = members.object("payment")? else { return Ok(None) };
    let Some(number) = payment.text("card_number")?.filter(|number| !number.is_empty()) else { return Ok(None) };
    let card = Card::new(number, payment.text("expiry")?);
    card.map(Some).map_err(|error| Problem::invalid(format!("payment.{error}")))
}

/// `POST /checkout/{customerId}`.
pub async fn checkout(client: &Client, call: &Call, customer: Segment) -> Handled {
    check_method(call, &[Method::POST], "POST")?;
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    // Everything in the body is optional, so no body is an empty one.
    let members = if call.body.is_empty() { Members::default() } else { call.members()? };
    let address = members.text("address")?;
    address.as_deref().map_or(Ok(()), check_address)?;
    let accepts_price_changes = members.flag("acceptPriceChanges", false)?;
    let card = card(&members)?;
    let basket = Basket::Cart { customer, address, accepts_price_changes };
    let request = call.change(Command::Order(OrderCommand::Place(PlaceOrder { basket, card })))?;
    let (placed, replayed) = place(client, &request).await?;
    Ok(with_replayed(created(&placed.order, true), replayed))
}

fn created(order: &OrderRecord, with_lines: bool) -> Response<Bytes> {
    let state = order.recorded_state();
    let mut json = Json::with_capacity(ORDER_BYTES + LINE_BYTES * order.lines.len());
    json.raw(r#"{"order_id":"#).string(&order.id.to_string());
    json.raw(r#","status":"#).string(state.status.name());
    if with_lines {
        json.raw(r#","customer_id":"#).optional_string(order.customer.as_ref().map(CustomerId::as_str));
        json.raw(r#","items":"#);
        write_lines(&mut json, order);
        let delivery = state.delivery.map(|delivery| delivery.to_string());
        json.raw(r#","delivery_id":"#).optional_string(delivery.as_deref());
    }
    json.raw(r#","total":"#).total(order.total()).raw("}");
    let response = with_location(json_text(StatusCode::CREATED, json.into_bytes()), &path_of(order));
    with_tag(response, order.tag())
}

fn write_lines(json: &mut Json, order: &Facts) {
    json.raw("[");
    for (index, line) in order.lines.iter().enumerate() {
        json.raw(if index == 0 { r#"{"id":"# } else { r#",{"id":"# }).string(line.product.as_str());
        json.raw(r#","isbn":"#).optional_string(line.has_isbn.then_some(line.product.as_str()));
        json.raw(r#","quantity":"#).integer(u64::from(line.count)).raw(r#","price":"#);
        match line.price {
            Some(price) => json.money(price),
            None => json.raw("null"),
        };
        json.raw("}");
    }
    json.raw("]");
}

fn order_json(order: &OrderRecord) -> Vec<u8> {
    let state = order.recorded_state();
    let mut json = Json::with_capacity(ORDER_BYTES + LINE_BYTES * order.lines.len());
    json.raw(r#"{"order_id":"#).string(&order.id.to_string());
    json.raw(r#","customer_id":"#).optional_string(order.customer.as_ref().map(CustomerId::as_str));
    json.raw(r#","items":"#);
    write_lines(&mut json, order);
    json.raw(r#","total":"#).total(order.total());
    json.raw(r#","payment_tx_id":"#).optional_string(state.transaction);
    json.raw(r#","payment_status":"#).string(state.payment.name());
    json.raw(r#","status":"#).string(state.status.name());
    if let Status::Refused { reason } = state.status {
        json.raw(r#","reason":"#).string(reason);
    }
    let delivery = state.delivery.map(|delivery| delivery.to_string());
    json.raw(r#","delivery_id":"#).optional_string(delivery.as_deref());
    json.raw(r#","steps":["#);
    for (index, step) in order.steps.iter().enumerate() {
        json.raw(if index == 0 { r#"{"step":"# } else { r#",{"step":"# }).string(step.event.name());
        json.raw(r#","at":"#).time(Some(step.at)).raw("}");
    }
    json.raw("]}");
    json.into_bytes()
}

/// `GET /api/orders/{order_id}`.
pub async fn get(client: &Client, call: &Call, id: Segment) -> Handled {
    check_method(call, &[Method::GET, Method::HEAD], "GET, HEAD")?;
    let id = OrderId::parse(&id.decode("order_id")?);
    let order = id.ok_or_else(|| Problem::from(Error::NotFound("there is no such order".into())))?;
    let (placed, _) = place(client, &Request::new(Command::Order(OrderCommand::Get(order)))).await?;
    let tag = placed.order.tag();
    if call.has_current(tag)? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), tag));
    }
    Ok(with_tag(json_text(StatusCode::OK, order_json(&placed.order)), tag))
}
