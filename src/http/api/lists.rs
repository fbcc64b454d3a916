//! Lists of products, merged from the ordered parts of all shards. A shard that does not answer fails the list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;

use super::paging::{limit, with_link};
use super::products::{PRODUCT_BYTES, create, read, write_product};
use crate::domain::product::{MAX_TOPIC_BYTES, Product};
use crate::error::{Error, Invalid};
use crate::http::endpoint::endpoints;
use crate::http::problem::{HttpResult, Problem};
use crate::http::request::{HttpRequest, PathSegment};
use crate::http::response::{json_text, not_modified, with_tag};
use crate::http::shop::Shop;
use crate::json::faults::{AllOf as _, Faults};
use crate::json::writer::Json;
use crate::protocol::{Command, Filter, ListProducts, MAX_LIST, ProductList, Request};
use crate::routing::ProductId;

endpoints! {
    pub ENDPOINTS:
    "search" / {topic} => { GET | HEAD => search }
    "catalog" / "books" => { GET | HEAD => catalog, POST => create }
    "api" / "books" => { GET | HEAD => books }
    "api" / "books" / {isbn} => { GET | HEAD => book }
}

/// The default size of a page of `/search` and `/api/books`.
const DEFAULT_LIMIT: u32 = MAX_LIST;
/// The default size of a page of `/catalog/books`.
const CATALOG_LIMIT: u32 = 50;

/// One page of a list.
struct Page {
    products: Vec<(ProductId, Product)>,
    /// The cursor of the next page.
    next: Option<String>,
}

/// The parameters of every list; others are ignored.
struct Query {
    limit: Option<u32>,
    after: Option<String>,
}

impl Query {
    fn of(request: &HttpRequest) -> Result<Self, Faults> {
        let (limit, after) =
            (request.parameter_as("limit", limit), request.parameter_as("cursor", decode_cursor)).all()?;
        Ok(Query { limit, after })
    }
}

fn decode_cursor(text: &str) -> Result<String, Invalid> {
    let id = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let id = id.filter(|id| ProductId::new(id.as_str()).is_ok());
    id.ok_or_else(|| Invalid::new("cursor", "is not valid"))
}

async fn page(shop: &Shop, filter: Filter, query: &Query, default_limit: u32) -> Result<Page, Problem> {
    let limit = query.limit.unwrap_or(default_limit);
    let list = ListProducts { filter, after: query.after.clone(), limit };
    let mut products = Vec::new();
    let mut has_more = false;
    for reply in shop.client.call_each::<ProductList>(&Request::new(Command::ListProducts(list))).await {
        let part = reply.result?.body;
        products.extend(part.products);
        has_more |= part.has_more;
    }
    products.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    has_more |= products.len() > limit as usize;
    products.truncate(limit as usize);
    let next = products.last().filter(|_| has_more).map(|(id, _)| URL_SAFE_NO_PAD.encode(id.as_str()));
    Ok(Page { products, next })
}

fn write_list(json: &mut Json, products: &[(ProductId, Product)], write: impl Fn(&mut Json, &ProductId, &Product)) {
    json.raw("[");
    for (index, (id, product)) in products.iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        write(json, id, product);
    }
    json.raw("]");
}

fn list(products: &[(ProductId, Product)], write: impl Fn(&mut Json, &ProductId, &Product)) -> Vec<u8> {
    let mut json = Json::with_capacity(64 + PRODUCT_BYTES * products.len());
    write_list(&mut json, products, write);
    json.into_bytes()
}

async fn search(shop: &Shop, request: &HttpRequest, topic: PathSegment) -> HttpResult {
    let topic = topic.decode().and_then(|topic| checked_topic(&topic));
    let (topic, query) = (topic, Query::of(request)).all()?;
    let page = page(shop, topic, &query, DEFAULT_LIMIT).await?;
    let body = list(&page.products, |json, id, product| {
        json.raw(r#"{"id":"#).string(id.as_str());
        json.raw(r#","title":"#).string(&product.details.title);
        json.raw(r#","price":"#).money(product.details.price);
        json.raw(r#","stock":"#).integer(product.stock).raw("}");
    });
    Ok(with_link(json_text(StatusCode::OK, body), request, page.next.as_deref()))
}

fn checked_topic(topic: &str) -> Result<Filter, Invalid> {
    if topic.is_empty() || topic.len() > MAX_TOPIC_BYTES || topic.chars().any(char::is_control) {
        let reason = format!("must be 1 to {MAX_TOPIC_BYTES} bytes without control characters");
        return Err(Invalid::new("topic", reason));
    }
    Ok(Filter::Topic(topic.to_owned()))
}

async fn catalog(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let (topic, query) = (request.parameter_as("topic", checked_topic), Query::of(request)).all()?;
    let page = page(shop, topic.unwrap_or(Filter::All), &query, CATALOG_LIMIT).await?;
    let mut json = Json::with_capacity(64 + PRODUCT_BYTES * page.products.len());
    json.raw(r#"{"items":"#);
    write_list(&mut json, &page.products, write_product);
    json.raw(r#","next_cursor":"#).optional_string(page.next.as_deref()).raw("}");
    Ok(with_link(json_text(StatusCode::OK, json.into_bytes()), request, page.next.as_deref()))
}

fn write_book(json: &mut Json, id: &ProductId, product: &Product) {
    json.raw(r#"{"isbn":"#).string(id.as_str());
    json.raw(r#","title":"#).string(&product.details.title);
    json.raw(r#","author":"#).optional_string(product.details.author.as_deref());
    json.raw(r#","price":"#).money(product.details.price);
    json.raw(r#","stock":"#).integer(product.stock).raw("}");
}

async fn books(shop: &Shop, request: &HttpRequest) -> HttpResult {
    let page = page(shop, Filter::Books, &Query::of(request)?, DEFAULT_LIMIT).await?;
    Ok(with_link(json_text(StatusCode::OK, list(&page.products, write_book)), request, page.next.as_deref()))
}

async fn book(shop: &Shop, request: &HttpRequest, isbn: PathSegment) -> HttpResult {
    let id = ProductId::new(isbn.decode()?).map_err(|invalid| invalid.at("isbn"))?;
    let product = read(shop, request, &id).await?;
    if !product.details.has_isbn {
        return Err(Problem::from(Error::NotFound("there is no such book".into())));
    }
    if request.has_current(product.tag())? {
        return Ok(not_modified(product.tag()));
    }
    let mut json = Json::with_capacity(PRODUCT_BYTES);
    write_book(&mut json, &id, &product);
    Ok(with_tag(json_text(StatusCode::OK, json.into_bytes()), product.tag()))
}
