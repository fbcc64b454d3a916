//! The owner of a command's records. It decides the shard that runs the command and the scope of its idempotency
//! key.

use crate::routing::{CustomerId, DeliveryId, KeyHash, KvKey, OrderId, ProductId};
use crate::storage::RecordKind;

/// The owner of the records that a command reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// A customer, who owns a cart.
    Customer(&'a CustomerId),
    /// A key of the key-value API.
    Key(&'a KvKey),
    /// A product.
    Product(&'a ProductId),
    /// An order, which owns its delivery too.
    Order(OrderId),
    /// A delivery.
    Delivery(DeliveryId),
}

impl Owner<'_> {
    /// The hash that routes the command to a shard.
    pub fn hash(&self) -> KeyHash {
        match self {
            Owner::Customer(customer) => customer.hash(),
            Owner::Key(key) => key.hash(),
            Owner::Product(product) => product.hash(),
            Owner::Order(order) => order.hash(),
            Owner::Delivery(delivery) => delivery.hash(),
        }
    }

    /// The scope of an idempotency key. It is part of every stored digest, so the kinds never change.
    pub fn scope(&self) -> (RecordKind, &[u8]) {
        match self {
            Owner::Customer(customer) => (RecordKind::Cart, customer.as_str().as_bytes()),
            Owner::Key(key) => (RecordKind::Kv, key.as_str().as_bytes()),
            Owner::Product(product) => (RecordKind::Product, product.as_str().as_bytes()),
            Owner::Order(order) => (RecordKind::Order, order.as_bytes()),
            Owner::Delivery(delivery) => (RecordKind::Delivery, delivery.as_bytes()),
        }
    }
}
