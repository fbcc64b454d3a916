//! Lists of products over all shards: `/search/{topic}`, `GET /catalog/books`, `/api/books`. Each shard
//! answers with its own part in order; a shard that does not answer fails the list.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{HeaderValue, LINK};
use http::{Method, Response, StatusCode};

use super::call::{Call, Segment};
use super::problem::Problem;
use super::products::{PRODUCT_BYTES, check_method, read, write_product};
use super::response::{empty, json_text, with_tag};
use crate::client::Client;
use crate::domain::product::{MAX_TOPIC_BYTES, Product};
use crate::error::Error;
use crate::json::writer::Json;
use crate::protocol::MAX_LIST;
use crate::protocol::{Command, Filter, ListProducts, ProductList, Request};
use crate::routing::ProductId;

type Handled = Result<Response<Bytes>, Problem>;

/// Entries of a page of `/search` and `/api/books` by default.
const DEFAULT_LIMIT: u32 = MAX_LIST;
/// The same for `/catalog/books`.
const CATALOG_LIMIT: u32 = 50;

/// One page of a list.
struct Page {
    products: Vec<(ProductId, Product)>,
    /// Where the next one begins.
    next: Option<String>,
}

/// What a query asks for; other parameters are ignored.
#[derive(Default)]
struct Query<'a> {
    limit: Option<u32>,
    after: Option<String>,
    topic: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    fn of(call: &'a Call) -> Result<Self, Problem> {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(call.uri.query().unwrap_or_default().as_bytes()) {
            let is_again = match &*name {
                "limit" => query.limit.replace(limit(&value)?).is_some(),
                "cursor" => query.after.replace(decode_cursor(&value)?).is_some(),
                "topic" => query.topic.replace(value).is_some(),
                _ => false,
            };
            if is_again {
                return Err(Problem::invalid(format!("{name}: is there more than once")));
            }
        }
        Ok(query)
    }
}

fn limit(text: &str) -> Result<u32, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIST).contains(limit));
    limit.ok_or_else(|| Problem::invalid(format!("limit: must be 1 to {MAX_LIST}")))
}

fn decode_cursor(text: &str) -> Result<String, Problem> {
    let id = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let id = id.filter(|id| ProductId::new(id.as_str()).is_ok());
    id.ok_or_else(|| Problem::invalid("cursor: is none of ours"))
}

async fn page(client: &Client, filter: Filter, query: &Query<'_>, default_limit: u32) -> Result<Page, Problem> {
    let limit = query.limit.unwrap_or(default_limit);
    let list = ListProducts { filter, after: query.after.clone(), limit };
    let mut products = Vec::new();
    let mut has_more = false;
    for reply in client.call_each::<ProductList>(&Request::new(Command::ListProducts(list))).await {
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

/// Adds where the next page is: the same request with another cursor.
fn with_link(mut response: Response<Bytes>, call: &Call, next: Option<&str>) -> Response<Bytes> {
    let Some(next) = next else { return response };
    let mut query = form_urlencoded::Serializer::new(String::new());
    let asked = form_urlencoded::parse(call.uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(asked.filter(|(name, _)| name != "cursor")).append_pair("cursor", next);
    let link = format!("<{}?{}>; rel=\"next\"", call.uri.path(), query.finish());
    if let Ok(value) = HeaderValue::try_from(link) {
        response.headers_mut().insert(LINK, value);
    }
    response
}

fn list(products: &[(ProductId, Product)], write: impl Fn(&mut Json, &ProductId, &Product)) -> Json {
    let mut json = Json::with_capacity(64 + PRODUCT_BYTES * products.len());
    json.raw("[");
    for (index, (id, product)) in products.iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        write(&mut json, id, product);
    }
    json.raw("]");
    json
}

const READ: [Method; 2] = [Method::GET, Method::HEAD];

/// `GET /search/{topic}`.
pub async fn search(client: &Client, call: &Call, topic: Segment) -> Handled {
    check_method(call, &READ, "GET, HEAD")?;
    let topic = checked_topic(&topic.decode("topic")?)?;
    let page = page(client, topic, &Query::of(call)?, DEFAULT_LIMIT).await?;
    let json = list(&page.products, |json, id, product| {
        json.raw(r#"{"id":"#).string(id.as_str());
        json.raw(r#","title":"#).string(&product.details.title);
        json.raw(r#","price":"#).money(product.details.price);
        json.raw(r#","stock":"#).integer(product.stock).raw("}");
    });
    Ok(with_link(json_text(StatusCode::OK, json.into_bytes()), call, page.next.as_deref()))
}

fn checked_topic(topic: &str) -> Result<Filter, Problem> {
    if topic.is_empty() || topic.len() > MAX_TOPIC_BYTES || topic.chars().any(char::is_control) {
        let detail = format!("topic: must be 1 to {MAX_TOPIC_BYTES} bytes without control characters");
        return Err(Problem::from(Error::Invalid(detail)));
    }
    Ok(Filter::Topic(topic.to_owned()))
}

/// `GET /catalog/books`.
pub async fn catalog(client: &Client, call: &Call) -> Handled {
    let query = Query::of(call)?;
    let filter = query.topic.as_deref().map_or(Ok(Filter::All), checked_topic)?;
    let page = page(client, filter, &query, CATALOG_LIMIT).await?;
    let mut json = Json::with_capacity(64 + PRODUCT_BYTES * page.products.len());
    let items = String::from_utf8_lossy(&list(&page.products, write_product).into_bytes()).into_owned();
    json.raw(r#"{"items":"#).raw(&items).raw(r#","next_cursor":"#).optional_string(page.next.as_deref()).raw("}");
    Ok(with_link(json_text(StatusCode::OK, json.into_bytes()), call, page.next.as_deref()))
}

fn write_book(json: &mut Json, id: &ProductId, product: &Product) {
    json.raw(r#"{"isbn":"#).string(id.as_str());
    json.raw(r#","title":"#).string(&product.details.title);
    json.raw(r#","author":"#).optional_string(product.details.author.as_deref());
    json.raw(r#","price":"#).money(product.details.price);
    json.raw(r#","stock":"#).integer(product.stock).raw("}");
}

/// `GET /api/books`.
pub async fn books(client: &Client, call: &Call) -> Handled {
    check_method(call, &READ, "GET, HEAD")?;
    let page = page(client, Filter::Books, &Query::of(call)?, DEFAULT_LIMIT).await?;
    let json = list(&page.products, write_book);
    Ok(with_link(json_text(StatusCode::OK, json.into_bytes()), call, page.next.as_deref()))
}

/// `GET /api/books/{isbn}`.
pub async fn book(client: &Client, call: &Call, isbn: Segment) -> Handled {
    check_method(call, &READ, "GET, HEAD")?;
    let id = ProductId::named("isbn", isbn.decode("isbn")?)?;
    let product = read(client, &id).await?;
    if !product.details.has_isbn {
        return Err(Problem::from(Error::NotFound("there is no such book".into())));
    }
    if call.has_current(product.tag())? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), product.tag()));
    }
    let mut json = Json::with_capacity(PRODUCT_BYTES);
    write_book(&mut json, &id, &product);
    Ok(with_tag(json_text(StatusCode::OK, json.into_bytes()), product.tag()))
}
