//! A product as JSON: the members of a request that creates one, and of a row of a catalog.

use crate::domain::product::{self, Details, MAX_STOCK, NewProduct};
use crate::error::{Invalid, Result};
use crate::json::faults::{AllOf as _, Faults};
use crate::json::object::JsonObject;
use crate::routing::ProductId;

/// Reads a product: `id` or `isbn`, `title`, `price`, `stock`; `author` and `topic` may be missing.
///
/// # Errors
/// The members at fault.
pub fn from_members(members: &JsonObject<'_>) -> Result<NewProduct, Faults> {
    let text = |field, check: fn(&str) -> Result<(), Invalid>| {
        let text = members.optional_str(field)?;
        text.as_deref().map_or(Ok(()), check).map(|()| text)
    };
    let title = || text("title", product::check_title)?.ok_or_else(|| members.missing("title"));
    let stock = || members.optional_u64("stock", MAX_STOCK)?.ok_or_else(|| members.missing("stock"));
    let ((id, has_isbn), title, author, topic, price, stock) = (
        members.optional_str("id").and_then(|other| id(other, members.optional_str("isbn")?)),
        title(),
        text("author", product::check_author),
        text("topic", product::check_topic),
        members.money("price"),
        stock(),
    )
        .all()?;
    Ok(NewProduct::new(id, Details { title, author, topic, has_isbn, price }, stock)?)
}

/// A product's id, and true when it is an ISBN.
///
/// # Errors
/// [`Invalid`] when both are missing or differ, or the id is malformed.
pub fn id(id: Option<String>, isbn: Option<String>) -> Result<(ProductId, bool), Invalid> {
    match (id, isbn) {
        (None, None) => Err(Invalid::new("id", "is missing, and so is isbn")),
        (Some(id), Some(isbn)) if id != isbn => Err(Invalid::new("isbn", "is not the id")),
        (_, Some(isbn)) => Ok((ProductId::new(isbn).map_err(|invalid| invalid.at("isbn"))?, true)),
        (Some(id), None) => Ok((ProductId::new(id)?, false)),
    }
}

/// A product as a line of JSON.
pub fn to_line(product: &NewProduct) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "null".to_owned(), quoted);
    let details = &product.details;
    let name = if details.has_isbn { "isbn" } else { "id" };
    format!(
        "{{\"{name}\":{},\"title\":{},\"author\":{},\"topic\":{},\"price\":{},\"stock\":{}}}\n",
        quoted(product.id.as_str()),
        quoted(&details.title),
        optional(&details.author),
        optional(&details.topic),
        details.price,
        product.stock
    )
}
