//! Products: reading, buying, replenishing, and editing them in the catalog.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::orders::place;
use crate::domain::card::Card;
use crate::domain::cart::MAX_COUNT;
use crate::domain::order::OrderedItem;
use crate::domain::product::{self, Cleared, MAX_STOCK, NewProduct, Product, ProductUpdate, UpdateMode};
use crate::error::Invalid;
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json_text, not_modified, with_location, with_replayed, with_tag};
use crate::http::shop::Shop;
use crate::json::faults::AllOf as _;
use crate::json::object::JsonObject;
use crate::json::product::from_members;
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
    let NewProduct { id, details, stock } = from_members(&request.members()?)?;
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
fn cleared(members: &JsonObject<'_>) -> Cleared {
    let [author, topic, isbn] = ["author", "topic", "isbn"].map(|field| members.is_null(field));
    Cleared { author, topic, isbn }
}

/// The members of an update.
struct UpdateMembers<'a> {
    members: JsonObject<'a>,
    mode: UpdateMode,
    is_merge_patch: bool,
}

impl UpdateMembers<'_> {
    /// A member that a product always has: a replacement gives it, and no patch removes it.
    fn kept<T>(&self, field: &'static str, read: Result<Option<T>, Invalid>) -> Result<Option<T>, Invalid> {
        match read? {
            None if self.is_merge_patch && self.members.is_null(field) => {
                Err(self.members.invalid(field, "is null, but cannot be removed"))
            }
            None if self.mode == UpdateMode::Replace => Err(self.members.missing(field)),
            value => Ok(value),
        }
    }

    /// A text, if it is there.
    fn text(&self, field: &'static str, check: fn(&str) -> Result<(), Invalid>) -> Result<Option<String>, Invalid> {
        let text = self.members.optional_str(field)?;
        text.as_deref().map_or(Ok(()), check)?;
        Ok(text)
    }

    /// True when the product's id is given under this name; another id is refused.
    fn repeats(&self, field: &'static str, id: &ProductId) -> Result<bool, Invalid> {
        match self.members.optional_str(field)? {
            Some(text) if text != id.as_str() => {
                Err(self.members.invalid(field, "is not the one in the path; it cannot be changed"))
            }
            None if field == "id" && self.is_merge_patch && self.members.is_null(field) => {
                Err(self.members.invalid(field, "is null, but cannot be removed"))
            }
            given => Ok(given.is_some()),
        }
    }
}

fn read_update(request: &HttpRequest, id: &ProductId, mode: UpdateMode) -> Result<ProductUpdate, Problem> {
    let is_merge_patch = request.is_merge_patch();
    let from = UpdateMembers { members: request.members()?, mode, is_merge_patch };
    let (_, has_isbn, title, author, topic, price, stock) = (
        from.repeats("id", id),
        from.repeats("isbn", id),
        from.kept("title", from.text("title", product::check_title)),
        from.text("author", product::check_author),
        from.text("topic", product::check_topic),
        from.kept("price", from.members.optional_money("price")),
        from.kept("stock", from.members.optional_u64("stock", MAX_STOCK)),
    )
        .all()?;
    let cleared = if is_merge_patch { cleared(&from.members) } else { Cleared::default() };
    let update = ProductUpdate { title, author, topic, has_isbn, price, stock, mode, cleared };
    update.check(id)?;
    Ok(update)
}
