//! Commands on products.

use bytes::Bytes;

use super::commands::{Done, check};
use super::writer::Writer;
use crate::domain::product::{Change, NewProduct, Product, fold_topic};
use crate::error::{Error, Result};
use crate::protocol::Filter;
use crate::protocol::{ListProducts, Request};
use crate::protocol::{Outcomes, proto};
use crate::routing::{KeyHash, ProductId};
use crate::storage::RecordKind;
use crate::storage::codec;

/// There is no such product.
pub fn no_such_product() -> Error {
    Error::NotFound("there is no such product".into())
}

/// A product, if it is there.
///
/// # Errors
/// [`Error::Fault`] for a damaged record.
pub fn find(writer: &mut Writer, id: &ProductId) -> Result<Option<Product>> {
    let record = writer.read(id.hash(), RecordKind::Product, id.as_str().as_bytes());
    record.map(codec::decode_product).transpose()
}

/// Puts a product that was there before as `old`, under a new version.
pub fn put(writer: &mut Writer, id: &ProductId, old: Option<&Product>, product: &mut Product) {
    product.version = writer.next_version();
    let is_listed_alike = old.is_some_and(|old| {
        old.details.topic == product.details.topic && old.details.has_isbn == product.details.has_isbn
    });
    if !is_listed_alike {
        if let Some(old) = old {
            writer.products.remove(id, &old.details);
        }
        writer.products.insert(id, &product.details);
    }
    writer.put(id.hash(), RecordKind::Product, id.as_str().as_bytes(), &codec::encode_product(product));
}

fn done(created: bool, product: &Product) -> Done {
    Done { created, outcome: Outcomes::Product(codec::encode_product(product).into()) }
}

/// Reads a product and holds the request's condition against it.
fn required(writer: &mut Writer, request: &Request, id: &ProductId) -> Result<Product> {
    let product = find(writer, id)?;
    check(request.if_match.as_ref(), product.as_ref().map(Product::tag))?;
    product.ok_or_else(no_such_product)
}

/// A product's record.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(writer: &mut Writer, id: &ProductId) -> Result<Done> {
    let record = writer.read(id.hash(), RecordKind::Product, id.as_str().as_bytes()).ok_or_else(no_such_product)?;
    Ok(Done { created: false, outcome: Outcomes::Product(Bytes::copy_from_slice(record)) })
}

/// Makes a product.
///
/// # Errors
/// [`Error::Refused`] when there is one with this id.
pub fn create(writer: &mut Writer, request: &Request, new: &NewProduct) -> Result<Done> {
    let current = find(writer, &new.id)?;
    check(request.if_match.as_ref(), current.as_ref().map(Product::tag))?;
    if current.is_some() {
        return Err(Error::Refused(format!("id: there is a product {} already", new.id.as_str())));
    }
    let incarnation = writer.next_version();
    let mut product = Product::new(new.details.clone(), new.stock, incarnation);
    put(writer, &new.id, None, &mut product);
    Ok(done(true, &product))
}

/// Changes a product.
///
/// # Errors
/// [`Error::NotFound`].
pub fn change(writer: &mut Writer, request: &Request, id: &ProductId, change: &Change) -> Result<Done> {
    let old = required(writer, request, id)?;
    let mut product = old.clone();
    product.apply(change);
    put(writer, id, Some(&old), &mut product);
    Ok(done(false, &product))
}

/// Removes a product and answers with what it was. What open orders hold of it they still hold.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(writer: &mut Writer, request: &Request, id: &ProductId) -> Result<Done> {
    let product = required(writer, request, id)?;
    writer.products.remove(id, &product.details);
    writer.delete(id.hash(), RecordKind::Product, id.as_str().as_bytes());
    Ok(done(false, &product))
}

/// Adds to a product's stock.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Refused`] past the limit.
pub fn replenish(writer: &mut Writer, request: &Request, id: &ProductId, count: u32) -> Result<Done> {
    let old = required(writer, request, id)?;
    let mut product = old.clone();
    product.replenish(count)?;
    put(writer, id, Some(&old), &mut product);
    Ok(done(false, &product))
}

/// This shard's part of a list. Its absences are durable too: a product that is not on it may just have
/// been deleted.
pub fn list(writer: &mut Writer, asked: &ListProducts) -> Done {
    writer.wait_for_products();
    let limit = asked.limit as usize;
    let filter = match &asked.filter {
        Filter::Topic(topic) => Filter::Topic(fold_topic(topic)),
        other => other.clone(),
    };
    let mut ids: Vec<_> = writer.products.list(&filter, asked.after.as_deref()).take(limit + 1).collect();
    let more = ids.len() > limit;
    ids.truncate(limit);
    let entries = ids.into_iter().filter_map(|id| {
        let record = writer.state().get(KeyHash::of(&id), RecordKind::Product, id.as_bytes())?;
        Some(proto::products::Entry { product: id.to_string(), record: Bytes::copy_from_slice(record) })
    });
    Done { created: false, outcome: Outcomes::Products(proto::Products { products: entries.collect(), more }) }
}
