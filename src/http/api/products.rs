//! Products: reading, buying, replenishing, and editing them in the catalog.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::orders::place;
use crate::domain::card::Card;
use crate::domain::cart::MAX_COUNT;
use crate::domain::order::OrderedItem;
use crate::domain::product::{Cleared, MAX_STOCK, NewProduct, Product, ProductUpdate, UpdateMode};
use crate::error::Invalid;
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json_text, not_modified, with_location, with_replayed, with_tag};
use crate::http::shop::Shop;
use crate::json::faults::AllOf as _;
use crate::json::object::JsonObject;
use crate::json::product;
use crate::json::writer::Json;
use crate::protocol::{Basket, Command, PlaceOrder, ProductCommand};
use crate::routing::{ProductId, url_segment};

endpoints! {
    pub ENDPOINTS:
    "find" / {id} => { GET | HEAD => find }
    "buy" => { PUT => buy }
    "replenish" => { PUT => replenish }
    "info" / {bookId} => { GET | HEAD => info }
    "catalog" / "books" / {id} => { GET | HEAD => show, PUT => replace, PATCH => merge, DELETE => delete }
}

/// The room for a product's JSON, in bytes; most need less.
pub const PRODUCT_BYTES: usize = 256;
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

/// Reads a product by its id.
pub async fn read(shop: &Shop, request: &HttpRequest, id: &ProductId) -> Result<Product, Problem> {
    Ok(shop.read(request, Command::Product { product: id.clone(), command: ProductCommand::Get }).await?.body)
}

async fn write(
    shop: &Shop,
    request: &HttpRequest,
    id: &ProductId,
    command: ProductCommand,
) -> Result<(Product, bool), Problem> {
    let (answer, replayed) = shop.write(request, Command::Product { product: id.clone(), command }).await?;
    Ok((answer.body, replayed))
}

async fn find(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let id = ProductId::new(id.decode()?)?;
    let product = read(shop, request, &id).await?;
    let mut json = executed(shop);
    json.raw(r#","product":"#);
    write_product(&mut json, &id, &product);
    json.raw("}");
    Ok(json_text(StatusCode::OK, json.into_bytes()))
}

/// The beginning of a response that carries its execution id.
fn executed(shop: &Shop) -> Json {
    let mut json = Json::with_capacity(PRODUCT_BYTES + 96);
    json.raw(r#"{"execution_id":"#).string(&shop.executions.next());
    json
}

async fn buy(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let members = request.members()?;
    let (id, count, card) = (product_id(&members), members.u32_in("quantity", 1, MAX_COUNT), card(&members)).all()?;
    let basket = Basket::Buy(OrderedItem { product: id.clone(), count });
    let (placed, replayed) = place(shop, request, PlaceOrder { basket, card: Some(card) }).await?;
    let mut json = executed(shop);
    json.raw(r#","order_id":"#).string(&placed.order.id.to_string());
    json.raw(r#","id":"#).string(id.as_str());
    json.raw(r#","quantity":"#).integer(u64::from(count));
    json.raw(r#","remaining":"#).integer(placed.remaining);
    json.raw(r#","total":"#).total(placed.order.total()).raw("}");
    Ok(with_replayed(json_text(StatusCode::OK, json.into_bytes()), replayed))
}

fn product_id(members: &JsonObject<'_>) -> Result<ProductId, Invalid> {
    ProductId::new(members.str_or_integer("id")?)
}

fn card(members: &JsonObject<'_>) -> Result<Card, Invalid> {
    Card::new(members.str("card")?, members.optional_str("expiry")?).map_err(|invalid| match invalid.field() {
        Some("card_number") => invalid.at("card"),
        _ => invalid,
    })
}

async fn replenish(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let members = request.members()?;
    let (id, count) = (product_id(&members), members.u32_in("quantity", 1, MAX_COUNT)).all()?;
    let (product, replayed) = write(shop, request, &id, ProductCommand::Replenish { count }).await?;
    let mut json = executed(shop);
    json.raw(r#","id":"#).string(id.as_str());
    json.raw(r#","quantity":"#).integer(product.stock).raw("}");
    Ok(with_replayed(json_text(StatusCode::OK, json.into_bytes()), replayed))
}

async fn info(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    get(shop, request, &ProductId::new(id.decode()?).map_err(|invalid| invalid.at("bookId"))?).await
}

async fn show(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    get(shop, request, &ProductId::new(id.decode()?)?).await
}

async fn get(shop: &Shop, request: &HttpRequest, id: &ProductId) -> HttpResult {
    let product = read(shop, request, id).await?;
    if request.has_current(product.tag())? {
        return Ok(not_modified(product.tag()));
    }
    Ok(product_response(StatusCode::OK, id, &product))
}

/// `POST /catalog/books`, which is in the table of the lists.
pub async fn create(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let NewProduct { id, details, stock } = product::from_members(&request.members()?)?;
    let (product, replayed) = write(shop, request, &id, ProductCommand::Create { details, stock }).await?;
    let response = product_response(StatusCode::CREATED, &id, &product);
    let response = with_location(response, &format!("/catalog/books/{}", url_segment(id.as_str())));
    Ok(with_replayed(response, replayed))
}

async fn replace(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    update(shop, request, id, UpdateMode::Replace).await
}

async fn merge(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    update(shop, request, id, UpdateMode::Merge).await
}

async fn update(shop: &Shop, request: &HttpRequest, id: PathSegment, mode: UpdateMode) -> HttpResult {
    let id = ProductId::new(id.decode()?)?;
    let update = read_update(request, &id, mode)?;
    let (product, replayed) = write(shop, request, &id, ProductCommand::Update(update)).await?;
    Ok(with_replayed(product_response(StatusCode::OK, &id, &product), replayed))
}

async fn delete(shop: &Shop, request: &HttpRequest, id: PathSegment) -> HttpResult {
    let id = ProductId::new(id.decode()?)?;
    let (product, replayed) = write(shop, request, &id, ProductCommand::Delete).await?;
    Ok(with_replayed(product_response(StatusCode::OK, &id, &product), replayed))
}

/// What a merge patch (RFC 7396) removes.
fn cleared(members: &JsonObject<'_>) -> Result<Cleared, Problem> {
    if let Some(field) = ["id", "title", "price", "stock"].into_iter().find(|field| members.is_null(field)) {
        return Err(members.invalid(field, "is null, but cannot be removed").into());
    }
    let [author, topic, isbn] = ["author", "topic", "isbn"].map(|field| members.is_null(field));
    Ok(Cleared { author, topic, isbn })
}

fn read_update(request: &HttpRequest, id: &ProductId, mode: UpdateMode) -> Result<ProductUpdate, Problem> {
    let members = request.members()?;
    for field in ["id", "isbn"] {
        if members.optional_str(field)?.is_some_and(|text| text != id.as_str()) {
            return Err(members.invalid(field, "is not the one in the path; it cannot be changed").into());
        }
    }
    let cleared = if request.is_merge_patch() { cleared(&members)? } else { Cleared::default() };
    let update = ProductUpdate {
        title: members.optional_str("title")?,
        author: members.optional_str("author")?,
        topic: members.optional_str("topic")?,
        has_isbn: members.optional_str("isbn")?.is_some(),
        price: members.optional_money("price")?,
        stock: members.optional_u64("stock", MAX_STOCK)?,
        mode,
        cleared,
    };
    let missing =
        [("title", update.title.is_none()), ("price", update.price.is_none()), ("stock", update.stock.is_none())];
    if let Some((field, _)) = missing.iter().find(|(_, is_missing)| mode == UpdateMode::Replace && *is_missing) {
        return Err(members.missing(field).into());
    }
    update.check(id)?;
    Ok(update)
}
