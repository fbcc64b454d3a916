//! Orders of one book, of several books, or of a cart.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::order_json::{ORDER_BYTES, order_summary, order_with_lines, room_of, write_order};
use super::order_list::list;
use crate::domain::card::Card;
use crate::domain::cart::MAX_COUNT;
use crate::domain::delivery::check_address;
use crate::domain::order::{Facts, MAX_ORDER_LINES, OrderRecord, OrderedItem, add_together};
use crate::error::{Error, Invalid};
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json_text, not_modified, with_location, with_replayed, with_tag};
use crate::http::shop::Shop;
use crate::json::faults::{AllOf as _, Faults};
use crate::json::object::JsonObject;
use crate::json::writer::Json;
use crate::protocol::{Basket, Command, OrderCommand, PlaceOrder, Placed};
use crate::routing::{CustomerId, OrderId, ProductId};

endpoints! {
    pub ENDPOINTS:
    "checkout" / {customerId} => { POST => checkout }
    "purchase" / {bookId} => { POST => purchase }
    "api" / "orders" => { GET | HEAD => list, POST => create }
    "api" / "orders" / {order_id} => { GET | HEAD => show }
    "api" / "orders" / {order_id} / "cancel" => { POST => cancel }
}

/// Places an order. Returns true with it if the same `Idempotency-Key` placed it before.
pub async fn place(shop: &Shop, request: &HttpRequest, order: PlaceOrder) -> Result<(Placed, bool), Problem> {
    let (answer, replayed) = shop.write(request, Command::Order(OrderCommand::Place(order))).await?;
    Ok((answer.body, replayed))
}

fn path_of(order: &Facts) -> String {
    format!("/api/orders/{}", order.id)
}

async fn purchase(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let id = ProductId::new(id.decode()?).map_err(|invalid| invalid.at("bookId"))?;
    let order = PlaceOrder { basket: Basket::Purchase(id.clone()), card: None };
    let (placed, replayed) = place(shop, request, order).await?;
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

async fn create(shop: &Shop, request: &HttpRequest) -> HttpResult {
    request.refuse_if_match()?;
    let members = request.members()?;
    let (customer, lines, card) = (customer(&members), lines(&members), card(&members)).all()?;
    let basket = Basket::Books { customer, lines: add_together(lines, MAX_COUNT)? };
    let (placed, replayed) = place(shop, request, PlaceOrder { basket, card }).await?;
    Ok(with_replayed(order_response(&placed.order, order_summary(&placed.order)), replayed))
}

fn customer(members: &JsonObject<'_>) -> Result<CustomerId, Invalid> {
    CustomerId::new(members.str("customer_id")?).map_err(|invalid| invalid.at("customer_id"))
}

fn lines(members: &JsonObject<'_>) -> Result<Vec<OrderedItem>, Faults> {
    members.objects("items", MAX_ORDER_LINES)?.iter().map(wanted).collect::<Vec<_>>().all()
}

fn wanted(line: &JsonObject<'_>) -> Result<OrderedItem, Faults> {
    let isbn = |isbn| ProductId::new(isbn).map_err(|invalid| line.named("isbn", invalid));
    let product = line.str_or_integer("isbn").and_then(isbn);
    let (product, count) = (product, line.u32_in("quantity", 1, MAX_COUNT)).all()?;
    Ok(OrderedItem { product, count })
}

/// The card of a body; `None` when `payment` or its `card_number` is missing or empty.
fn card(members: &JsonObject<'_>) -> Result<Option<Card>, Invalid> {
    let Some(payment) = members.object("payment")? else { return Ok(None) };
    let Some(number) = payment.optional_str("card_number")?.filter(|number| !number.is_empty()) else {
        return Ok(None);
    };
    let card = Card::new(number, payment.optional_str("expiry")?);
    card.map(Some).map_err(|invalid| invalid.within("payment."))
}

async fn checkout(shop: &Shop, request: &HttpRequest, customer: PathSegment) -> HttpResult {
    let customer = CustomerId::new(customer.decode()?)?;
    let members = request.optional_members()?;
    let (address, accepts_price_changes, card) =
        (address(&members), members.bool("acceptPriceChanges", false), card(&members)).all()?;
    let basket = Basket::Cart { customer, address, accepts_price_changes };
    let (placed, replayed) = place(shop, request, PlaceOrder { basket, card }).await?;
    Ok(with_replayed(order_response(&placed.order, order_with_lines(&placed.order)), replayed))
}

fn address(members: &JsonObject<'_>) -> Result<Option<String>, Invalid> {
    let address = members.optional_str("address")?;
    address.as_deref().map_or(Ok(()), check_address)?;
    Ok(address)
}

async fn show(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let Placed { order, .. } = shop.read(request, Command::Order(OrderCommand::Get(parse(id)?))).await?.body;
    if request.has_current(order.tag())? {
        return Ok(not_modified(order.tag()));
    }
    Ok(whole_order(shop, &order))
}

async fn cancel(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let order = parse(id)?;
    // It has no members of its own; a body that is no JSON object is refused all the same.
    request.optional_members()?;
    let (answer, replayed) = shop.write::<Placed>(request, Command::Order(OrderCommand::Cancel(order))).await?;
    Ok(with_replayed(whole_order(shop, &answer.body.order), replayed))
}

fn parse(id: PathSegment) -> Result<OrderId, Problem> {
    let id = OrderId::parse(&id.decode()?);
    id.ok_or_else(|| Problem::from(Error::NotFound("there is no such order".into())))
}

/// 200 with all that is known about an order.
fn whole_order(shop: &Shop, order: &OrderRecord) -> Response<Bytes> {
    let mut json = Json::with_capacity(room_of(order));
    write_order(&mut json, order, &shop.client);
    with_tag(json_text(StatusCode::OK, json.into_bytes()), order.tag())
}

/// 201 with the body of a created order.
fn order_response(order: &Facts, body: Vec<u8>) -> Response<Bytes> {
    with_tag(with_location(json_text(StatusCode::CREATED, body), &path_of(order)), order.tag())
}
