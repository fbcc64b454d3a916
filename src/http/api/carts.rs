//! Carts.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::domain::cart::{Cart, Line, MAX_COUNT, Offer};
use crate::domain::time::Timestamp;
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json_text, not_modified, with_private, with_replayed, with_tag};
use crate::http::shop::Shop;
use crate::json::faults::AllOf as _;
use crate::json::writer::Json;
use crate::protocol::{Answer, CartCommand, Command};
use crate::routing::{CustomerId, ItemId};

endpoints! {
    pub ENDPOINTS:
    "items" / {customerId} => { GET | HEAD => show, DELETE => take }
    "item" / {customerId} / {itemId} => { POST => add, PUT => set, DELETE => remove }
}

/// The room for a cart's JSON without its lines, in bytes.
const CART_BYTES: usize = 192;
/// The room for a line's JSON, in bytes; most need less.
const LINE_BYTES: usize = 160;

/// Writes the lines of a cart, with its sales as of the time `at`.
fn write_lines(json: &mut Json, lines: &[Line], at: Timestamp) {
    json.raw("[");
    for (index, Line { item, offer, count }) in lines.iter().enumerate() {
        json.raw(if index == 0 { r#"{"itemId":"# } else { r#",{"itemId":"# }).string(item.as_str());
        json.raw(r#","offeredPrice":"#).money(offer.price);
        json.raw(r#","itemCount":"#).integer(u64::from(*count));
        if !offer.special_sale && offer.sale_expiration.is_none() {
            // Most lines are so, and one piece is written faster than five.
            json.raw(r#","specialSale":false,"saleExpiration":null,"saleActive":false}"#);
            continue;
        }
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

async fn show(shop: &Shop, request: &HttpRequest, customer: PathSegment) -> HttpResult {
    let customer = CustomerId::new(customer.decode()?)?;
    let command = Command::Cart { customer: customer.clone(), command: CartCommand::Get };
    let Answer { body: cart, at, .. } = shop.read::<Cart>(request, command).await?;
    let tag = cart.tag(at);
    if request.has_current(tag)? {
        return Ok(with_private(not_modified(tag)));
    }
    Ok(cart_response(StatusCode::OK, &customer, &cart, at))
}

async fn take(shop: &Shop, request: &HttpRequest, customer: PathSegment) -> HttpResult {
    let customer = CustomerId::new(customer.decode()?)?;
    let command = Command::Cart { customer: customer.clone(), command: CartCommand::Take };
    let (answer, replayed) = shop.write::<Cart>(request, command).await?;
    let receipt = receipt_json(&customer, &answer.body, answer.at);
    Ok(with_replayed(json_text(StatusCode::OK, receipt), replayed))
}

async fn add(shop: &Shop, request: &HttpRequest, customer: PathSegment, item: PathSegment) -> HttpResult {
    let (customer, item) = line(customer, item)?;
    let (offer, count) = offer(request)?;
    change(shop, request, customer, CartCommand::AddLine { item, offer, count }).await
}

/// The offer and the count in the body.
fn offer(request: &HttpRequest) -> Result<(Offer, u32), Problem> {
    let members = request.members()?;
    let (price, special_sale, sale_expiration, count) = (
        members.money("offeredPrice"),
        members.bool("specialSale", false),
        members.time("saleExpiration"),
        members.u32_in("itemCount", 1, MAX_COUNT),
    )
        .all()?;
    Ok((Offer { price, special_sale, sale_expiration }, count))
}

async fn set(shop: &Shop, request: &HttpRequest, customer: PathSegment, item: PathSegment) -> HttpResult {
    let (customer, item) = line(customer, item)?;
    let count = request.members()?.u32_in("newCount", 0, MAX_COUNT)?;
    change(shop, request, customer, CartCommand::SetCount { item, count }).await
}

async fn remove(shop: &Shop, request: &HttpRequest, customer: PathSegment, item: PathSegment) -> HttpResult {
    let (customer, item) = line(customer, item)?;
    change(shop, request, customer, CartCommand::RemoveLine { item }).await
}

fn line(customer: PathSegment, item: PathSegment) -> Result<(CustomerId, ItemId), Problem> {
    Ok((CustomerId::new(customer.decode()?)?, ItemId::new(item.decode()?)?))
}

async fn change(shop: &Shop, request: &HttpRequest, customer: CustomerId, command: CartCommand) -> HttpResult {
    let command = Command::Cart { customer: customer.clone(), command };
    let (answer, replayed) = shop.write::<Cart>(request, command).await?;
    let status = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_replayed(cart_response(status, &customer, &answer.body, answer.at), replayed))
}

fn cart_response(status: StatusCode, customer: &CustomerId, cart: &Cart, at: Timestamp) -> Response<Bytes> {
    with_private(with_tag(json_text(status, cart_json(customer, cart, at)), cart.tag(at)))
}
