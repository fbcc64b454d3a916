//! A shard of tests: its writer with a product of its own, and an order of another shard.

use std::sync::Arc;

use super::{products, reservations};
use crate::domain::money::Money;
use crate::domain::order::OrderedItem;
use crate::domain::product::{Details, Product};
use crate::domain::reservation::{HoldMode, HoldResult, Settlement};
use crate::domain::time::Timestamp;
use crate::protocol::{Hold, Settle};
use crate::routing::{OrderId, ProductId, SLOTS, Slot};
use crate::shard::engine::{Resident, Transaction, Writer};
use crate::storage::{MemoryStorage, RecordKey, RecordKind};

/// A shard with half of the slots, and a product of its own.
pub fn shard(stock: u64) -> (Writer, ProductId) {
    shard_with(Resident::default(), stock)
}

/// The same, with records that it has already.
pub fn shard_with(resident: Resident, stock: u64) -> (Writer, ProductId) {
    let mut writer = Writer::new(resident, Arc::new(MemoryStorage::default()), 0..=SLOTS / 2 - 1);
    let mut ids = (0..).map(|number| ProductId::new(format!("p{number}")).unwrap());
    let id = ids.find(|id| begin(&mut writer).owns(id.hash())).unwrap();
    make(&mut writer, &id, stock);
    (writer, id)
}

/// A transaction at the beginning of time.
pub fn begin(writer: &mut Writer) -> Transaction<'_> {
    Transaction::begin(writer, Timestamp::default())
}

/// Makes a product.
pub fn make(writer: &mut Writer, id: &ProductId, stock: u64) {
    let details = Details { title: "T".into(), author: None, topic: None, has_isbn: false, price: Money::default() };
    let mut txn = begin(writer);
    let incarnation = txn.next_version();
    products::put(&mut txn, id, None, &mut Product::new(details, stock, incarnation));
}

/// An order whose home is another shard.
pub fn order(number: u128) -> OrderId {
    OrderId::new(Slot(SLOTS - 1), 0, number << 20)
}

/// Holds one line.
pub fn held(writer: &mut Writer, order: OrderId, id: &ProductId, count: u32) -> HoldResult {
    let lines = vec![OrderedItem { product: id.clone(), count }];
    reservations::hold(&mut begin(writer), &Hold::new(order, lines, HoldMode::Hold).unwrap()).unwrap().remove(0)
}

/// Settles one line.
pub fn settled(writer: &mut Writer, order: OrderId, id: &ProductId, settlement: Settlement) {
    reservations::settle(&mut begin(writer), &Settle::new(order, vec![id.clone()], settlement).unwrap()).unwrap();
}

/// What can be sold, is held, was sold.
pub fn stock(writer: &mut Writer, id: &ProductId) -> (u64, u64, u64) {
    let product = products::find(&mut begin(writer), id).unwrap().unwrap();
    (product.stock, product.held, product.sold)
}

/// Deletes the product and makes it again, with this stock.
pub fn make_again(writer: &mut Writer, id: &ProductId, stock: u64) {
    let mut txn = begin(writer);
    let old = products::find(&mut txn, id).unwrap().unwrap();
    txn.indexes_mut().products.remove(id, &old.details);
    txn.delete(RecordKey { hash: id.hash(), kind: RecordKind::Product, id: id.as_str().as_bytes() });
    make(writer, id, stock);
}
