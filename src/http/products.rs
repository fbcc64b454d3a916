//! Products: `/find/{id}`, `/buy`, `/replenish`, `/info/{bookId}`, and the catalogue's entries.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::call::{Call, Segment};
use super::problem::Problem;
use super::response::{empty, json_text, with_location, with_replayed, with_tag};
use crate::client::Client;
use crate::domain::card::Card;
use crate::domain::cart::MAX_COUNT;
use crate::domain::order::OrderedItem;
use crate::domain::product::{Change, MAX_STOCK, NewProduct, Product};
use crate::error::Error;
use crate::json::product;
use crate::json::writer::Json;
use crate::protocol::{Basket, Command, OrderCommand, PlaceOrder, Placed, ProductCommand, Request};
use crate::routing::ProductId;

type Handled = Result<Response<Bytes>, Problem>;

/// Bytes that most products take.
pub const PRODUCT_BYTES: usize = 256;
/// What stands in a path as it is: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as one segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Writes a product.
pub fn write_product(json: &mut Json, id: &ProductId, product: &Product) {
    let details = &product.details;
    json.raw(r#"{"id":"#).string(id.as_str());
    json.raw(r#","title":"#).string(&details.title);
    json.raw(r#","author":"#).optional_string(details.author.as_deref());
    json.raw(r#","topic":"#).optional_string(details.topic.as_deref());
    json.raw(r#","isbn":"#).optional_string(details.has_isbn.then_some(id.as_str()));
    json.raw(r#","price":"#).money(details.price);
    json.raw(r#","stock":"#).integer(product.stock);
    json.raw(r#","held":"#).integer(product.held);
    json.raw(r#","sold":"#).integer(product.sold);
    json.raw(r#","received":"#).integer(product.received);
    json.raw(r#","version":"#).integer(product.version).raw("}");
}

fn product_response(status: StatusCode, id: &ProductId, product: &Product) -> Response<Bytes> {
    let mut json = Json::with_capacity(PRODUCT_BYTES);
    write_product(&mut json, id, product);
    with_tag(json_text(status, json.into_bytes()), product.tag())
}

/// Turns a failure that may have been given before into an answer.
pub fn failed(error: Error, replayed: bool) -> Problem {
    if replayed { Problem::replayed(&error, true) } else { Problem::from(error) }
}

/// Allows some methods only.
pub fn check_method(call: &Call, allowed: &[Method], allow: &'static str) -> Result<(), Problem> {
    if allowed.contains(&call.method) { Ok(()) } else { Err(Problem::method_not_allowed(allow)) }
}

const READ: [Method; 2] = [Method::GET, Method::HEAD];

/// A product by its id.
pub async fn read(client: &Client, id: &ProductId) -> Result<Product, Problem> {
    let request = Request::new(Command::Product { product: id.clone(), command: ProductCommand::Get });
    Ok(client.call::<Product>(&request).await.result?.body)
}

/// `GET /find/{id}`.
pub async fn find(client: &Client, call: &Call, id: Segment) -> Handled {
    check_method(call, &READ, "GET, HEAD")?;
    let id = ProductId::named("id", id.decode("id")?)?;
    let product = read(client, &id).await?;
    let mut json = executed(call);
    json.raw(r#","product":"#);
    write_product(&mut json, &id, &product);
    json.raw("}");
    Ok(json_text(StatusCode::OK, json.into_bytes()))
}

/// The beginning of an answer that carries the id of its execution.
fn executed(call: &Call) -> Json {
    let mut json = Json::with_capacity(PRODUCT_BYTES + 96);
    json.raw(r#"{"execution_id":"#).string(call.execution_id.as_deref().unwrap_or_default());
    json
}

/// `PUT /buy`.
pub async fn buy(client: &Client, call: &Call) -> Handled {
    check_method(call, &[Method::PUT], "PUT")?;
    let members = call.members()?;
    let id = ProductId::named("id", members.text_or_integer("id")?)?;
    let count = members.count("quantity", 1, MAX_COUNT)?;
    let number = members.required_text("card")?;
    let card = Card::new(number, members.text("expiry")?)
        .map_err(|error| members.invalid("card", error.detail().trim_start_matches("card_number: ")))?;
    let basket = Basket::Buy(OrderedItem { product: id.clone(), count });
    let request = call.change(Command::Order(OrderCommand::Place(PlaceOrder { basket, card: Some(card) })))?;
    let reply = client.call::<Placed>(&request).await;
    let placed = reply.result.map_err(|error| failed(error, reply.replayed))?.body;
    let mut json = executed(call);
    json.raw(r#","order_id":"#).string(&placed.order.id.to_string());
    json.raw(r#","id":"#).string(id.as_str());
    json.raw(r#","quantity":"#).integer(u64::from(count));
    json.raw(r#","remaining":"#).integer(placed.remaining);
    json.raw(r#","total":"#).total(placed.order.total()).raw("}");
    Ok(with_replayed(json_text(StatusCode::OK, json.into_bytes()), reply.replayed))
}

/// `PUT /replenish`.
pub async fn replenish(client: &Client, call: &Call) -> Handled {
    check_method(call, &[Method::PUT], "PUT")?;
    let members = call.members()?;
    let id = ProductId::named("id", members.text_or_integer("id")?)?;
    let count = members.count("quantity", 1, MAX_COUNT)?;
    let command = Command::Product { product: id.clone(), command: ProductCommand::Replenish { count } };
    let reply = client.call::<Product>(&call.change(command)?).await;
    let product = reply.result.map_err(|error| failed(error, reply.replayed))?.body;
    let mut json = executed(call);
    json.raw(r#","id":"#).string(id.as_str());
    json.raw(r#","quantity":"#).integer(product.stock).raw("}");
    Ok(with_replayed(json_text(StatusCode::OK, json.into_bytes()), reply.replayed))
}

/// `GET /info/{bookId}`.
pub async fn info(client: &Client, call: &Call, id: Segment) -> Handled {
    check_method(call, &READ, "GET, HEAD")?;
    get(client, call, &ProductId::named("bookId", id.decode("bookId")?)?).await
}

async fn get(client: &Client, call: &Call, id: &ProductId) -> Handled {
    let product = read(client, id).await?;
    if call.has_current(product.tag())? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), product.tag()));
    }
    Ok(product_response(StatusCode::OK, id, &product))
}

/// `POST /catalog/books`.
pub async fn create(client: &Client, call: &Call) -> Handled {
    let NewProduct { id, details, stock } = product::from_members(&call.members()?)?;
    let command = Command::Product { product: id.clone(), command: ProductCommand::Create { details, stock } };
    let reply = client.call::<Product>(&call.change(command)?).await;
    let product = reply.result.map_err(|error| failed(error, reply.replayed))?.body;
    let response = product_response(StatusCode::CREATED, &id, &product);
    let response = with_location(response, &format!("/catalog/books/{}", segment(id.as_str())));
    Ok(with_replayed(response, reply.replayed))
}

/// `/catalog/books/{id}`.
pub async fn entry(client: &Client, call: &Call, id: Segment) -> Handled {
    let allowed = [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE];
    check_method(call, &allowed, "GET, HEAD, PUT, PATCH, DELETE")?;
    let id = ProductId::named("id", id.decode("id")?)?;
    let command = match call.method {
        Method::PUT => ProductCommand::Update(changed(call, &id, true)?),
        Method::PATCH => ProductCommand::Update(changed(call, &id, false)?),
        Method::DELETE => ProductCommand::Delete,
        _ => return get(client, call, &id).await,
    };
    let command = Command::Product { product: id.clone(), command };
    let reply = client.call::<Product>(&call.change(command)?).await;
    let product = reply.result.map_err(|error| failed(error, reply.replayed))?.body;
    Ok(with_replayed(product_response(StatusCode::OK, &id, &product), reply.replayed))
}

fn changed(call: &Call, id: &ProductId, replaces: bool) -> Result<Change, Problem> {
    let members = call.members()?;
    for field in ["id", "isbn"] {
        if members.text(field)?.is_some_and(|text| text != id.as_str()) {
            return Err(Problem::invalid(format!("{field}: is not the one in the path; it cannot be changed")));
        }
    }
    let change = Change {
        title: members.text("title")?,
        author: members.text("author")?,
        topic: members.text("topic")?,
        has_isbn: members.text("isbn")?.is_some(),
        price: members.optional_money("price")?,
        stock: members.amount("stock", MAX_STOCK)?,
        replaces,
    };
    let missing =
        [("title", change.title.is_none()), ("price", change.price.is_none()), ("stock", change.stock.is_none())];
    if let Some((field, _)) = missing.iter().find(|(_, is_missing)| replaces && *is_missing) {
        return Err(Problem::invalid(format!("{field}: is missing")));
    }
    change.check(id)?;
    Ok(change)
}
