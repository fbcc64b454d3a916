//! What may be asked of a shard, and what it answers.

use crate::domain::card::Card;
use crate::domain::cart::{Cart, Offer};
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::order::{Order, Wanted};
use crate::domain::product::{Change, NewProduct, Product};
use crate::domain::reservation::{Holding, Ruling};
use crate::domain::tag::Condition;
use crate::domain::time::Timestamp;
use crate::domain::value::Value;
use crate::error::{Error, Result};
use crate::routing::{CustomerId, DeliveryId, ItemId, KeyHash, KvKey, OrderId, ProductId};
use crate::storage::RecordKind;

/// One operation on the records of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Does nothing: whether the shard answers.
    Ping,
    /// The customer's cart.
    GetCart { customer: CustomerId },
    /// Puts an item in, or adds to its count.
    AddLine { customer: CustomerId, item: ItemId, offer: Offer, count: u32 },
    /// Sets a line's count; 0 removes the line.
    SetCount { customer: CustomerId, item: ItemId, count: u32 },
    /// Removes a line.
    RemoveLine { customer: CustomerId, item: ItemId },
    /// Empties the cart and answers with what it held.
    TakeCart { customer: CustomerId },
    /// A value.
    GetValue { key: KvKey },
    /// Stores a value.
    PutValue { key: KvKey, text: String },
    /// Removes a value.
    DeleteValue { key: KvKey },
    /// A product.
    GetProduct { product: ProductId },
    /// Makes a product.
    CreateProduct { product: NewProduct },
    /// Changes a product.
    ChangeProduct { product: ProductId, change: Change },
    /// Removes a product and answers with what it was.
    DeleteProduct { product: ProductId },
    /// Adds to a product's stock.
    Replenish { product: ProductId, count: u32 },
    /// A shard's products of a list.
    ListProducts(ListProducts),
    /// Makes an order.
    PlaceOrder(PlaceOrder),
    /// An order.
    GetOrder { order: OrderId },
    /// Makes a delivery of an order.
    CreateDelivery { order: OrderId, address: String, courier: String },
    /// A delivery.
    GetDelivery { delivery: DeliveryId },
    /// Goes on with a delivery.
    MoveDelivery { delivery: DeliveryId, status: DeliveryStatus },
    /// Holds stock for an order; all of it or none. Sent by the order's home.
    Hold(Hold),
    /// Says what becomes of what an order holds. Sent by the order's home.
    Settle(Settle),
    /// Asks an order's home what becomes of what it holds. Sent by a product's shard.
    Rule { order: OrderId },
}

/// Which products are listed, ordered by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListProducts {
    /// Which of them.
    pub filter: Filter,
    /// Those after this id.
    pub after: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// Which products a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All.
    All,
    /// Those of a topic, folded as [`crate::domain::product::fold_topic`] does.
    Topic(String),
    /// Those with an ISBN.
    Books,
}

/// What is to be ordered, and how it is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// What.
    pub basket: Basket,
    /// The card, for the call to the payment gateway alone.
    pub card: Option<Card>,
}

/// What is to be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basket {
    /// One copy of a product, without payment.
    Purchase(ProductId),
    /// Copies of one product.
    Buy(Wanted),
    /// Books for a customer; each product once.
    Books { customer: CustomerId, lines: Vec<Wanted> },
    /// All that is in a customer's cart.
    Cart { customer: CustomerId, address: Option<String>, accepts_price_changes: bool },
}

/// Stock that is to be held for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// For which order.
    pub order: OrderId,
    /// Of which products, each once, all on one shard.
    pub lines: Vec<Wanted>,
    /// Only look: hold nothing.
    pub only_look: bool,
}

/// What becomes of held stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// Of which order.
    pub order: OrderId,
    /// Of which products, all on one shard.
    pub products: Vec<ProductId>,
    /// [`Ruling::Claim`] or [`Ruling::Release`].
    pub ruling: Ruling,
}

impl Command {
    /// Whether it changes nothing, so that it may be sent twice.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Command::Ping
                | Command::GetCart { .. }
                | Command::GetValue { .. }
                | Command::GetProduct { .. }
                | Command::ListProducts(_)
                | Command::GetOrder { .. }
                | Command::GetDelivery { .. }
                | Command::Rule { .. }
        )
    }

    /// Whether running it twice is the same as running it once.
    pub fn is_idempotent(&self) -> bool {
        self.is_read() || matches!(self, Command::Hold(_) | Command::Settle(_))
    }

    /// True when one shard alone can run it. Any shard answers the others.
    pub fn has_owner(&self) -> bool {
        !matches!(self, Command::Ping | Command::ListProducts(_))
    }

    /// Where it is routed to; `None` for what any shard can answer.
    pub fn route(&self) -> Option<KeyHash> {
        Some(match self {
            Command::Ping | Command::ListProducts(_) => return None,
            Command::Hold(Hold { lines, .. }) => lines.first()?.product.hash(),
            Command::Settle(Settle { products, .. }) => products.first()?.hash(),
            Command::GetOrder { order } | Command::Rule { order } | Command::CreateDelivery { order, .. } => {
                order.hash()
            }
            Command::GetDelivery { delivery } | Command::MoveDelivery { delivery, .. } => delivery.hash(),
            _ => KeyHash::of_bytes(self.scope().1),
        })
    }

    /// Whose it is: the scope of its idempotency key.
    pub fn scope(&self) -> (RecordKind, &[u8]) {
        match self {
            Command::Ping | Command::ListProducts(_) | Command::Hold(_) | Command::Settle(_) => (RecordKind::Cart, b""),
            Command::GetCart { customer }
            | Command::AddLine { customer, .. }
            | Command::SetCount { customer, .. }
            | Command::RemoveLine { customer, .. }
            | Command::TakeCart { customer } => (RecordKind::Cart, customer.as_str().as_bytes()),
            Command::GetValue { key } | Command::PutValue { key, .. } | Command::DeleteValue { key } => {
                (RecordKind::Kv, key.as_str().as_bytes())
            }
            Command::GetProduct { product }
            | Command::ChangeProduct { product, .. }
            | Command::DeleteProduct { product }
            | Command::Replenish { product, .. }
            | Command::CreateProduct { product: NewProduct { id: product, .. } } => {
                (RecordKind::Product, product.as_str().as_bytes())
            }
            Command::PlaceOrder(place) => match &place.basket {
                Basket::Purchase(product) | Basket::Buy(Wanted { product, .. }) => {
                    (RecordKind::Product, product.as_str().as_bytes())
                }
                Basket::Books { customer, .. } | Basket::Cart { customer, .. } => {
                    (RecordKind::Cart, customer.as_str().as_bytes())
                }
            },
            Command::GetOrder { order } | Command::Rule { order } | Command::CreateDelivery { order, .. } => {
                (RecordKind::Order, order.as_bytes())
            }
            Command::GetDelivery { delivery } | Command::MoveDelivery { delivery, .. } => {
                (RecordKind::Delivery, delivery.as_bytes())
            }
        }
    }
}

/// A client's promise that requests with this key are one and the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value.
    pub key: String,
    /// SHA-256 over what was asked, to notice when it was something else.
    pub fingerprint: Vec<u8>,
}

/// A command and under which terms it is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it is routed to; of what any shard can answer it is 0.
    pub hash: KeyHash,
    /// What to do.
    pub command: Command,
    /// At most once under this key.
    pub idempotency: Option<Idempotency>,
    /// Only in this state.
    pub if_match: Option<Condition>,
}

impl Request {
    /// A command without terms.
    pub fn new(command: Command) -> Self {
        let hash = command.route().unwrap_or(KeyHash::from_bits(0));
        Request { hash, command, idempotency: None, if_match: None }
    }

    /// Whether sending it twice applies it once.
    pub fn is_resendable(&self) -> bool {
        self.command.is_idempotent() || self.idempotency.is_some()
    }
}

/// An answer or an error, and whether it is a first answer given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Given before, to the same `Idempotency-Key`.
    pub replayed: bool,
    /// What came of the command.
    pub result: Result<Answer>,
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Reply { replayed: false, result: Err(error) }
    }
}

/// What a command that succeeded answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When it was computed: what depends on the time is seen from there.
    pub at: Timestamp,
    /// Whether something was made that was not there.
    pub created: bool,
    /// The result.
    pub outcome: Outcome,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; the version of what was written.
    Done { version: u64 },
    /// The cart after the command, or, where it was taken, before it.
    Cart(Cart),
    /// The value.
    Value(Value),
    /// The product after the command, or, where it was deleted, before it.
    Product(Product),
    /// A shard's part of a list, and whether it has more.
    Products { products: Vec<(ProductId, Product)>, more: bool },
    /// The order.
    Order(Placed),
    /// The delivery after the command.
    Delivery(Delivery),
    /// What holding found, in the order of the lines.
    Holdings(Vec<Holding>),
    /// What becomes of held stock.
    Ruling(Ruling),
}

/// An order, and of one of a single product what an answer says beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The order.
    pub order: Order,
    /// The product's title; empty for others.
    pub title: String,
    /// What could still be sold after stock was held; 0 for others.
    pub remaining: u64,
}
