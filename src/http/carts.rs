//! Carts: `/items/{customerId}` and `/item/{customerId}/{itemId}`.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::call::{Call, Segment};
use super::problem::Problem;
use super::response::{empty, json_text, with_replayed, with_tag};
use crate::client::Client;
use crate::domain::cart::{Cart, Line, MAX_COUNT, Offer};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::json::writer::Json;
use crate::protocol::{Answer, CartCommand, Command, Request};
use crate::routing::{CustomerId, ItemId};

type Handled = Result<Response<Bytes>, Problem>;

/// Bytes that a cart takes beside its lines.
const CART_BYTES: usize = 192;
/// Bytes that most lines take.
const LINE_BYTES: usize = 160;

/// Writes the lines of a cart as they look at a time.
fn write_lines(json: &mut Json, lines: &[Line], at: Timestamp) {
    json.raw("[");
    for (index, Line { item, offer, count }) in lines.iter().enumerate() {
        json.raw(if index == 0 { r#"{"itemId":"# } else { r#",{"itemId":"# }).string(item.as_str());
        json.raw(r#","offeredPrice":"#).money(offer.price);
        json.raw(r#","itemCount":"#).integer(u64::from(*count));
        json.raw(r#","specialSale":"#).flag(offer.special_sale);
        json.raw(r#","saleExpiration":"#).time(offer.sale_expiration);
        json.raw(r#","saleActive":"#).flag(offer.is_sale_active(at)).raw("}");
    }
    json.raw("]");
}

fn cart_json(customer: &CustomerId, cart: &Cart, at: Timestamp) -> Vec<u8> {
    let mut json = Json::with_capacity(CART_BYTES + LINE_BYTES * cart.lines.len());
    json.raw(r#"{"customerId":"#).string(customer.as_str());
    json.raw(r#","version":"#).integer(cart.version).raw(r#","items":"#);
    write_lines(&mut json, &cart.lines, at);
    json.raw(r#","itemTotal":"#).integer(cart.item_total());
    json.raw(r#","total":"#).total(cart.total());
    json.raw(r#","updatedAt":"#).time(cart.updated_at).raw("}");
    json.into_bytes()
}

fn receipt_json(customer: &CustomerId, cart: &Cart, at: Timestamp) -> Vec<u8> {
    let mut json = Json::with_capacity(CART_BYTES + LINE_BYTES * cart.lines.len());
    json.raw(r#"{"customerId":"#).string(customer.as_str()).raw(r#","items":"#);
    write_lines(&mut json, &cart.lines, at);
    json.raw(r#","itemTotal":"#).integer(cart.item_total());
    json.raw(r#","total":"#).total(cart.total());
    json.raw(r#","checkedOutAt":"#).time(Some(at)).raw("}");
    json.into_bytes()
}

/// `/items/{customerId}`: the whole cart.
pub async fn items(client: &Client, call: &Call, customer: Segment) -> Handled {
    match call.method {
        Method::GET | Method::HEAD => get(client, call, customer).await,
        Method::DELETE => take(client, call, customer).await,
        _ => Err(Problem::method_not_allowed("GET, HEAD, DELETE")),
    }
}

/// `/item/{customerId}/{itemId}`: one line.
pub async fn item(client: &Client, call: &Call, customer: Segment, item: Segment) -> Handled {
    let method = &call.method;
    if ![Method::POST, Method::PUT, Method::DELETE].contains(method) {
        return Err(Problem::method_not_allowed("POST, PUT, DELETE"));
    }
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    let item = ItemId::new(item.decode("itemId")?)?;
    let command = match *method {
        Method::POST => add_line(call, item)?,
        Method::PUT => CartCommand::SetCount { item, count: call.members()?.count("newCount", 0, MAX_COUNT)? },
        _ => CartCommand::RemoveLine { item },
    };
    let command = Command::Cart { customer: customer.clone(), command };
    change(client, &customer, &call.change(command)?).await
}

fn add_line(call: &Call, item: ItemId) -> Result<CartCommand, Problem> {
    let members = call.members()?;
    let offer = Offer {
        price: members.money("offeredPrice")?,
        special_sale: members.flag("specialSale", false)?,
        sale_expiration: members.time("saleExpiration")?,
    };
    Ok(CartCommand::AddLine { item, offer, count: members.count("itemCount", 1, MAX_COUNT)? })
}

async fn get(client: &Client, call: &Call, customer: Segment) -> Handled {
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    let request = Request::new(Command::Cart { customer: customer.clone(), command: CartCommand::Get });
    let Answer { at, body: cart, .. } = client.call::<Cart>(&request).await.result?;
    let tag = cart.tag(at);
    if call.has_current(tag)? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), tag));
    }
    Ok(cart_response(StatusCode::OK, &customer, &cart, at))
}

async fn change(client: &Client, customer: &CustomerId, request: &Request) -> Handled {
    let reply = client.call::<Cart>(request).await;
    let Answer { at, created, body: cart } = reply.result.map_err(|error| failed(error, reply.replayed))?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_replayed(cart_response(status, customer, &cart, at), reply.replayed))
}

async fn take(client: &Client, call: &Call, customer: Segment) -> Handled {
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    let request = call.change(Command::Cart { customer: customer.clone(), command: CartCommand::Take })?;
    let reply = client.call::<Cart>(&request).await;
    let Answer { at, body: cart, .. } = reply.result.map_err(|error| failed(error, reply.replayed))?;
    Ok(with_replayed(json_text(StatusCode::OK, receipt_json(&customer, &cart, at)), reply.replayed))
}

fn failed(error: Error, replayed: bool) -> Problem {
    if replayed { Problem::replayed(&error, true) } else { Problem::from(error) }
}

fn cart_response(status: StatusCode, customer: &CustomerId, cart: &Cart, at: Timestamp) -> Response<Bytes> {
    with_tag(json_text(status, cart_json(customer, cart, at)), cart.tag(at))
}
