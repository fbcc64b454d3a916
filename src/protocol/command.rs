//! The commands that a shard runs, and their protobuf messages. The oneof of messages is flat, and its field
//! numbers never change: stored fingerprints are digests of encoded commands.

use super::carts::{self, CartCommand};
use super::deliveries::{self, DeliveryCommand};
use super::effect::Effect;
use super::order_lists::{self, ListOrders};
use super::orders::{self, OrderCommand, order_id};
use super::owner::Owner;
use super::peers::{self, PeerCommand};
use super::products::{self, ListProducts, ProductCommand};
use super::proto;
use super::values::{self, ValueCommand};
use crate::error::Result;
use crate::routing::{CustomerId, KvKey, ProductId};
use proto::request::Command as Message;

/// One operation on the records of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Does nothing. A reply shows that the shard answers.
    Ping,
    /// A command on a customer's cart.
    Cart {
        /// The customer.
        customer: CustomerId,
        /// The command.
        command: CartCommand,
    },
    /// A command on a value of the key-value API.
    Value {
        /// The key.
        key: KvKey,
        /// The command.
        command: ValueCommand,
    },
    /// A command on a product.
    Product {
        /// The product.
        product: ProductId,
        /// The command.
        command: ProductCommand,
    },
    /// Lists a shard's products.
    ListProducts(ListProducts),
    /// Lists a shard's or a customer's orders.
    ListOrders(ListOrders),
    /// A command on an order.
    Order(OrderCommand),
    /// A command on a delivery.
    Delivery(DeliveryCommand),
    /// A command from another shard.
    Peer(PeerCommand),
}

impl Command {
    /// The owner of the records that it reads and writes; `None` for a command that any shard can run.
    pub fn owner(&self) -> Option<Owner<'_>> {
        match self {
            Command::Ping | Command::ListProducts(_) => None,
            Command::Cart { customer, .. } => Some(Owner::Customer(customer)),
            Command::Value { key, .. } => Some(Owner::Key(key)),
            Command::Product { product, .. } => Some(Owner::Product(product)),
            Command::ListOrders(list) => list.customer.as_ref().map(Owner::Customer),
            Command::Order(command) => Some(command.owner()),
            Command::Delivery(command) => Some(command.owner()),
            Command::Peer(command) => Some(command.owner()),
        }
    }

    /// Its effect, which decides whether it may run twice.
    pub fn effect(&self) -> Effect {
        match self {
            Command::Ping | Command::ListProducts(_) | Command::ListOrders(_) => Effect::Read,
            Command::Cart { command, .. } => command.effect(),
            Command::Value { command, .. } => command.effect(),
            Command::Product { command, .. } => command.effect(),
            Command::Order(command) => command.effect(),
            Command::Delivery(command) => command.effect(),
            Command::Peer(command) => command.effect(),
        }
    }

    /// True when it makes the shard's records larger, and nothing that is under way depends on it. An update of a product is
    /// judged where both sizes are known. Counts take a few bytes at most; orders, holds and idempotency keys have limits
    /// of their own, and go on.
    pub fn grows(&self) -> bool {
        match self {
            Command::Cart { command, .. } => match command {
                CartCommand::AddLine { .. } => true,
                CartCommand::Get
                | CartCommand::SetCount { .. }
                | CartCommand::RemoveLine { .. }
                | CartCommand::Take => false,
            },
            Command::Value { command, .. } => match command {
                ValueCommand::Put { .. } => true,
                ValueCommand::Get | ValueCommand::Delete => false,
            },
            Command::Product { command, .. } => match command {
                ProductCommand::Create { .. } => true,
                ProductCommand::Get
                | ProductCommand::Update(_)
                | ProductCommand::Delete
                | ProductCommand::Replenish { .. } => false,
            },
            Command::Ping
            | Command::ListProducts(_)
            | Command::ListOrders(_)
            | Command::Order(OrderCommand::Place(_) | OrderCommand::Get(_) | OrderCommand::Cancel(_))
            | Command::Delivery(
                DeliveryCommand::Create { .. } | DeliveryCommand::Get(_) | DeliveryCommand::Move { .. },
            )
            | Command::Peer(
                PeerCommand::Hold(_) | PeerCommand::Settle(_) | PeerCommand::Return(_) | PeerCommand::AskDecision(_),
            ) => false,
        }
    }

    /// The name for logs and metrics, such as `cart.add_line`.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Ping => "ping",
            Command::ListProducts(_) => "product.list",
            Command::ListOrders(_) => "order.list",
            Command::Cart { command, .. } => command.name(),
            Command::Value { command, .. } => command.name(),
            Command::Product { command, .. } => command.name(),
            Command::Order(command) => command.name(),
            Command::Delivery(command) => command.name(),
            Command::Peer(command) => command.name(),
        }
    }

    pub(super) fn encode(&self) -> Message {
        match self {
            Command::Ping => Message::Ping(proto::Ping {}),
            Command::Cart { customer, command } => command.encode(customer),
            Command::Value { key, command } => command.encode(key),
            Command::Product { product, command } => command.encode(product),
            Command::ListProducts(list) => list.encode(),
            Command::ListOrders(list) => list.encode(),
            Command::Order(command) => command.encode(),
            Command::Delivery(command) => command.encode(),
            Command::Peer(command) => command.encode(),
        }
    }

    pub(super) fn decode(message: Message) -> Result<Self> {
        Ok(match message {
            Message::Ping(proto::Ping {}) => Command::Ping,
            Message::GetCart(m) => cart((CustomerId::new(m.customer)?, CartCommand::Get)),
            Message::AddLine(m) => cart(carts::add_line(m)?),
            Message::SetCount(m) => cart(carts::set_count(m)?),
            Message::RemoveLine(m) => cart(carts::remove_line(m)?),
            Message::TakeCart(m) => cart((CustomerId::new(m.customer)?, CartCommand::Take)),
            Message::GetValue(m) => value((KvKey::new(m.key)?, ValueCommand::Get)),
            Message::PutValue(m) => value(values::put(m)?),
            Message::DeleteValue(m) => value((KvKey::new(m.key)?, ValueCommand::Delete)),
            Message::GetProduct(m) => product((ProductId::new(m.product)?, ProductCommand::Get)),
            Message::CreateProduct(m) => product(products::create(m)?),
            Message::ChangeProduct(m) => product(products::update(m)?),
            Message::DeleteProduct(m) => product((ProductId::new(m.product)?, ProductCommand::Delete)),
            Message::Replenish(m) => product(products::replenish(m)?),
            Message::ListProducts(m) => Command::ListProducts(products::list(m)?),
            Message::PlaceOrder(m) => Command::Order(OrderCommand::Place(orders::place(m)?)),
            Message::ListOrders(m) => Command::ListOrders(order_lists::list(m)?),
            Message::GetOrder(m) => Command::Order(OrderCommand::Get(order_id(&m.order)?)),
            Message::CancelOrder(m) => Command::Order(OrderCommand::Cancel(order_id(&m.order)?)),
            Message::CreateDelivery(m) => Command::Delivery(deliveries::create(m)?),
            Message::GetDelivery(m) => Command::Delivery(DeliveryCommand::Get(deliveries::delivery_id(&m.delivery)?)),
            Message::MoveDelivery(m) => Command::Delivery(deliveries::move_to(&m)?),
            Message::Hold(m) => Command::Peer(PeerCommand::Hold(peers::hold(m)?)),
            Message::Settle(m) => Command::Peer(PeerCommand::Settle(peers::settle(m)?)),
            Message::ReturnStock(m) => Command::Peer(PeerCommand::Return(peers::return_stock(m)?)),
            Message::Rule(m) => Command::Peer(PeerCommand::AskDecision(order_id(&m.order)?)),
        })
    }
}

fn cart((customer, command): (CustomerId, CartCommand)) -> Command {
    Command::Cart { customer, command }
}

fn value((key, command): (KvKey, ValueCommand)) -> Command {
    Command::Value { key, command }
}

fn product((product, command): (ProductId, ProductCommand)) -> Command {
    Command::Product { product, command }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::cart::Offer;
    use crate::domain::delivery::DeliveryStatus;
    use crate::domain::money::Money;
    use crate::domain::order::{OrderStatus, OrderedItem, PaymentStatus};
    use crate::domain::product::{Details, ProductUpdate};
    use crate::domain::reservation::{HoldMode, ReturnedLine, Settlement};
    use crate::protocol::order_lists::OrderFilter;
    use crate::protocol::orders::{Basket, PlaceOrder};
    use crate::protocol::peers::{Hold, ReturnStock, Settle};
    use crate::protocol::products::Filter;
    use crate::routing::{DeliveryId, ItemId, OrderId, Slot};

    impl Command {
        /// One command of each kind.
        fn samples() -> Vec<Command> {
            std::iter::successors(Some(Command::Ping), Command::next_sample).collect()
        }

        /// The sample that follows one of this kind. The match is exhaustive, so that a new command needs a sample.
        fn next_sample(&self) -> Option<Command> {
            let order = OrderId::new(Slot(7), 1, 2);
            let delivery = DeliveryId::new(Slot(7), 3, 4);
            let product_id = || ProductId::new("2").unwrap();
            let item = || ItemId::new("tea").unwrap();
            let line = || OrderedItem { product: product_id(), count: 3 };
            let price = Money::from_hundredths(5).unwrap();
            let cart = |command| cart((CustomerId::new("alice").unwrap(), command));
            let value = |command| value((KvKey::new("greeting").unwrap(), command));
            let product = |command| product((product_id(), command));
            Some(match self {
                Command::Ping => cart(CartCommand::Get),
                Command::Cart { command, .. } => match command {
                    CartCommand::Get => {
                        let offer = Offer { price, special_sale: false, sale_expiration: None };
                        cart(CartCommand::AddLine { item: item(), offer, count: 1 })
                    }
                    CartCommand::AddLine { .. } => cart(CartCommand::SetCount { item: item(), count: 0 }),
                    CartCommand::SetCount { .. } => cart(CartCommand::RemoveLine { item: item() }),
                    CartCommand::RemoveLine { .. } => cart(CartCommand::Take),
                    CartCommand::Take => value(ValueCommand::Get),
                },
                Command::Value { command, .. } => match command {
                    ValueCommand::Get => value(ValueCommand::Put { text: "hello".into() }),
                    ValueCommand::Put { .. } => value(ValueCommand::Delete),
                    ValueCommand::Delete => product(ProductCommand::Get),
                },
                Command::Product { command, .. } => match command {
                    ProductCommand::Get => {
                        let details =
                            Details { title: "Tea".into(), author: None, topic: None, has_isbn: false, price };
                        product(ProductCommand::Create { details, stock: 9 })
                    }
                    ProductCommand::Create { .. } => product(ProductCommand::Update(ProductUpdate::default())),
                    ProductCommand::Update(_) => product(ProductCommand::Delete),
                    ProductCommand::Delete => product(ProductCommand::Replenish { count: 4 }),
                    ProductCommand::Replenish { .. } => {
                        Command::ListProducts(ListProducts { filter: Filter::Books, after: Some("1".into()), limit: 5 })
                    }
                },
                Command::ListProducts(_) => Command::ListOrders(ListOrders {
                    customer: Some(CustomerId::new("alice").unwrap()),
                    filter: OrderFilter { status: Some(OrderStatus::Created), payment: Some(PaymentStatus::Captured) },
                    after: Some(order),
                    limit: 5,
                }),
                Command::ListOrders(_) => {
                    Command::Order(OrderCommand::Place(PlaceOrder { basket: Basket::Buy(line()), card: None }))
                }
                Command::Order(command) => match command {
                    OrderCommand::Place(_) => Command::Order(OrderCommand::Get(order)),
                    OrderCommand::Get(_) => Command::Order(OrderCommand::Cancel(order)),
                    OrderCommand::Cancel(_) => Command::Delivery(DeliveryCommand::Create {
                        order,
                        address: "1 Main St".into(),
                        courier: "local".into(),
                    }),
                },
                Command::Delivery(command) => match command {
                    DeliveryCommand::Create { .. } => Command::Delivery(DeliveryCommand::Get(delivery)),
                    DeliveryCommand::Get(_) => {
                        Command::Delivery(DeliveryCommand::Move { delivery, status: DeliveryStatus::Delivered })
                    }
                    DeliveryCommand::Move { .. } => {
                        Command::Peer(PeerCommand::Hold(Hold::new(order, vec![line()], HoldMode::Hold).unwrap()))
                    }
                },
                Command::Peer(command) => match command {
                    PeerCommand::Hold(_) => {
                        let settle = Settle::new(order, vec![product_id()], Settlement::Release).unwrap();
                        Command::Peer(PeerCommand::Settle(settle))
                    }
                    PeerCommand::Settle(_) => Command::Peer(PeerCommand::AskDecision(order)),
                    PeerCommand::AskDecision(_) => {
                        let line = ReturnedLine { product: product_id(), incarnation: 7, count: 3 };
                        Command::Peer(PeerCommand::Return(ReturnStock::new(order, vec![line]).unwrap()))
                    }
                    PeerCommand::Return(_) => return None,
                },
            })
        }
    }

    #[test]
    fn every_command_is_the_same_after_its_message() {
        for command in Command::samples() {
            assert_eq!(Command::decode(command.encode()), Ok(command));
        }
    }

    #[test]
    fn names_tell_commands_apart() {
        let samples = Command::samples();
        let names: BTreeSet<_> = samples.iter().map(Command::name).collect();
        assert_eq!((samples.len(), names.len()), (26, 26), "{names:?}");
    }

    #[test]
    fn commands_that_run_once_have_an_owner_that_keeps_their_key() {
        for command in Command::samples() {
            assert!(command.effect() != Effect::Once || command.owner().is_some(), "{}", command.name());
        }
    }

    #[test]
    fn a_peer_command_names_a_product() {
        let order = OrderId::new(Slot(7), 1, 2);
        assert!(Hold::new(order, Vec::new(), HoldMode::Hold).is_err());
        assert!(Settle::new(order, Vec::new(), Settlement::Claim).is_err());
        let order = order.as_bytes().to_vec();
        let hold = proto::Hold { order: order.clone(), lines: Vec::new(), only_look: true };
        assert!(Command::decode(Message::Hold(hold)).is_err());
        let settle = proto::Settle { order, products: Vec::new(), ruling: proto::Ruling::Claim.into() };
        assert!(Command::decode(Message::Settle(settle)).is_err());
        let returned = proto::ReturnStock { order: OrderId::new(Slot(7), 1, 2).as_bytes().to_vec(), lines: Vec::new() };
        assert!(Command::decode(Message::ReturnStock(returned)).is_err());
    }
}
