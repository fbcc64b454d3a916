//! Products, and the commands on them.

use bytes::Bytes;

use crate::domain::product::{Details, Product, ProductUpdate, fold_topic};
use crate::domain::tag::Condition;
use crate::error::{ConflictCode, Error, Result};
use crate::protocol::{CommandOutput, Filter, ListProducts, ProductCommand, Request};
use crate::routing::{KeyHash, ProductId};
use crate::shard::engine::Transaction;
use crate::storage::codec;
use crate::storage::{RecordKey, RecordKind};

fn key(id: &ProductId) -> RecordKey<'_> {
    RecordKey { hash: id.hash(), kind: RecordKind::Product, id: id.as_str().as_bytes() }
}

/// The error for a product that does not exist.
pub fn no_such_product() -> Error {
    Error::NotFound("there is no such product".into())
}

/// Finds a product.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn find(txn: &mut Transaction<'_>, id: &ProductId) -> Result<Option<Product>> {
    txn.read(key(id)).map(codec::decode_product).transpose()
}

/// Stores a product in place of `old`, under a new version.
pub fn put(txn: &mut Transaction<'_>, id: &ProductId, old: Option<&Product>, product: &mut Product) {
    product.version = txn.next_version();
    let sums = &mut txn.indexes_mut().stock;
    if let Some(old) = old {
        sums.remove(old);
    }
    sums.add(product);
    let is_listed_alike = old.is_some_and(|old| {
        old.details.topic == product.details.topic && old.details.has_isbn == product.details.has_isbn
    });
    if !is_listed_alike {
        let index = &mut txn.indexes_mut().products;
        if let Some(old) = old {
            index.remove(id, &old.details);
        }
        index.insert(id, &product.details);
    }
    txn.put(key(id), &codec::encode_product(product));
}

fn output(product: &Product) -> CommandOutput {
    CommandOutput::product(codec::encode_product(product).into())
}

/// Reads a product and checks the request's condition.
fn checked(txn: &mut Transaction<'_>, request: &Request, id: &ProductId) -> Result<Product> {
    let product = find(txn, id)?;
    Condition::check(request.if_match.as_ref(), product.as_ref().map(Product::tag))?;
    product.ok_or_else(no_such_product)
}

/// Executes a command on a product.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`], or [`Error::Conflict`] for an id that is taken and for stock
/// past its limit.
pub fn execute(
    txn: &mut Transaction<'_>,
    request: &Request,
    id: &ProductId,
    command: &ProductCommand,
) -> Result<CommandOutput> {
    match command {
        ProductCommand::Get => get(txn, id),
        ProductCommand::Create { details, stock } => create(txn, request, id, details, *stock),
        ProductCommand::Update(new) => update(txn, request, id, new),
        ProductCommand::Delete => delete(txn, request, id),
        ProductCommand::Replenish { count } => replenish(txn, request, id, *count),
    }
}

/// Reads a product.
fn get(txn: &mut Transaction<'_>, id: &ProductId) -> Result<CommandOutput> {
    let record = txn.read(key(id)).ok_or_else(no_such_product)?;
    Ok(CommandOutput::product(Bytes::copy_from_slice(record)))
}

/// Creates a product.
fn create(
    txn: &mut Transaction<'_>,
    request: &Request,
    id: &ProductId,
    details: &Details,
    stock: u64,
) -> Result<CommandOutput> {
    let current = find(txn, id)?;
    Condition::check(request.if_match.as_ref(), current.as_ref().map(Product::tag))?;
    if current.is_some() {
        let detail = format!("id: there is a product {} already", id.as_str());
        return Err(Error::conflict(ConflictCode::IdExists, detail));
    }
    let incarnation = txn.next_version();
    let mut product = Product::new(details.clone(), stock, incarnation);
    put(txn, id, None, &mut product);
    Ok(output(&product).with_created(true))
}

/// Changes a product. One that grows is refused at the memory limit.
fn update(txn: &mut Transaction<'_>, request: &Request, id: &ProductId, new: &ProductUpdate) -> Result<CommandOutput> {
    let old = checked(txn, request, id)?;
    let mut product = old.clone();
    product.apply(new)?;
    if codec::encode_product(&product).len() > codec::encode_product(&old).len() {
        txn.check_memory()?;
    }
    put(txn, id, Some(&old), &mut product);
    Ok(output(&product))
}

/// Deletes a product and replies with it. Orders that hold some of its stock still hold it.
fn delete(txn: &mut Transaction<'_>, request: &Request, id: &ProductId) -> Result<CommandOutput> {
    let product = checked(txn, request, id)?;
    let indexes = txn.indexes_mut();
    indexes.products.remove(id, &product.details);
    indexes.stock.remove(&product);
    txn.delete(key(id));
    Ok(output(&product))
}

/// Adds to a product's stock.
fn replenish(txn: &mut Transaction<'_>, request: &Request, id: &ProductId, count: u32) -> Result<CommandOutput> {
    let old = checked(txn, request, id)?;
    let mut product = old.clone();
    product.replenish(count)?;
    put(txn, id, Some(&old), &mut product);
    Ok(output(&product))
}

/// This shard's part of a list. The reply waits for every change of a product, deletions too: a product that is
/// missing from the list may just have been deleted.
pub fn list(txn: &mut Transaction<'_>, asked: &ListProducts) -> CommandOutput {
    txn.depend_on_products();
    let limit = asked.limit as usize;
    let filter = match &asked.filter {
        Filter::Topic(topic) => Filter::Topic(fold_topic(topic)),
        other @ (Filter::All | Filter::Books) => other.clone(),
    };
    let mut ids: Vec<_> = txn.indexes().products.list(&filter, asked.after.as_deref()).take(limit + 1).collect();
    let more = ids.len() > limit;
    ids.truncate(limit);
    let products = ids.into_iter().filter_map(|id| {
        let record = txn.peek(RecordKey { hash: KeyHash::of(&id), kind: RecordKind::Product, id: id.as_bytes() })?;
        Some((id.to_string(), Bytes::copy_from_slice(record)))
    });
    CommandOutput::products(products, more)
}
