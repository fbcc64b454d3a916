//! Commands on products, orders and deliveries, to and from protobuf.

use std::fmt;

use super::proto;
use crate::domain::card::Card;
use crate::domain::cart::{MAX_COUNT, MAX_LINES};
use crate::domain::delivery::{DeliveryStatus, check_address, check_courier};
use crate::domain::money::Money;
use crate::domain::order::{MAX_ORDER_LINES, Wanted};
use crate::domain::product::{Change, Details, NewProduct};
use crate::domain::reservation::{Held, Holding, Ruling};
use crate::error::{Error, Result};
use crate::protocol::{Basket, Command, Filter, Hold, ListProducts, PlaceOrder, Settle};
use crate::routing::{CustomerId, DeliveryId, OrderId, ProductId};
use proto::holding::State;
use proto::list_products::Filter as Filters;
use proto::place_order::Basket as Baskets;
use proto::request::Command as Commands;

/// The most products in one list.
pub const MAX_LIST: u32 = 1_000;

/// Leaves of a card what a fingerprint may cover.
pub fn mask(card: &mut proto::Card) {
    let shown = card.number.len().saturating_sub(4);
    card.number = card.number.get(shown..).unwrap_or_default().to_owned();
}

/// A message with a card is shown without its number.
impl fmt::Debug for proto::Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").finish_non_exhaustive()
    }
}

/// A command as it is sent; [`super`] has handled those on carts and values.
pub fn encode(command: &Command) -> Commands {
    match command {
        Command::GetProduct { product } => Commands::GetProduct(proto::GetProduct { product: text(product) }),
        Command::CreateProduct { product } => Commands::CreateProduct(encode_new(product)),
        Command::ChangeProduct { product, change } => Commands::ChangeProduct(encode_change(product, change)),
        Command::DeleteProduct { product } => Commands::DeleteProduct(proto::DeleteProduct { product: text(product) }),
        Command::Replenish { product, count } => {
            Commands::Replenish(proto::Replenish { product: text(product), count: *count })
        }
        Command::ListProducts(list) => Commands::ListProducts(encode_list(list)),
        Command::PlaceOrder(place) => Commands::PlaceOrder(encode_place(place)),
        Command::GetOrder { order } => Commands::GetOrder(proto::GetOrder { order: order.as_bytes().to_vec() }),
        Command::CreateDelivery { order, address, courier } => Commands::CreateDelivery(proto::CreateDelivery {
            order: order.as_bytes().to_vec(),
            address: address.clone(),
            courier: courier.clone(),
        }),
        Command::GetDelivery { delivery } => {
            Commands::GetDelivery(proto::GetDelivery { delivery: delivery.as_bytes().to_vec() })
        }
        Command::MoveDelivery { delivery, status } => Commands::MoveDelivery(proto::MoveDelivery {
            delivery: delivery.as_bytes().to_vec(),
            status: *status as i32,
        }),
        Command::Hold(hold) => Commands::Hold(proto::Hold {
            order: hold.order.as_bytes().to_vec(),
            lines: hold.lines.iter().map(encode_wanted).collect(),
            only_look: hold.only_look,
        }),
        Command::Settle(settle) => Commands::Settle(proto::Settle {
            order: settle.order.as_bytes().to_vec(),
            products: settle.products.iter().map(text).collect(),
            ruling: encode_ruling(settle.ruling).into(),
        }),
        Command::Rule { order } => Commands::Rule(proto::Rule { order: order.as_bytes().to_vec() }),
        _ => Commands::Ping(proto::Ping {}),
    }
}

fn text(product: &ProductId) -> String {
    product.as_str().to_owned()
}

fn encode_new(new: &NewProduct) -> proto::CreateProduct {
    proto::CreateProduct {
        product: text(&new.id),
        title: new.details.title.clone(),
        author: new.details.author.clone(),
        topic: new.details.topic.clone(),
        has_isbn: new.details.has_isbn,
        price: new.details.price.hundredths(),
        stock: new.stock,
    }
}

fn encode_change(product: &ProductId, change: &Change) -> proto::ChangeProduct {
    proto::ChangeProduct {
        product: text(product),
        title: change.title.clone(),
        author: change.author.clone(),
        topic: change.topic.clone(),
        has_isbn: change.has_isbn,
        price: change.price.map(Money::hundredths),
        stock: change.stock,
        replaces: change.replaces,
    }
}

fn encode_list(list: &ListProducts) -> proto::ListProducts {
    proto::ListProducts {
        filter: match &list.filter {
            Filter::All => None,
            Filter::Topic(topic) => Some(Filters::Topic(topic.clone())),
            Filter::Books => Some(Filters::Books(true)),
        },
        after: list.after.clone(),
        limit: list.limit,
    }
}

fn encode_wanted(wanted: &Wanted) -> proto::Line {
    proto::Line { product: text(&wanted.product), count: wanted.count }
}

fn encode_place(place: &PlaceOrder) -> proto::PlaceOrder {
    let basket = match &place.basket {
        Basket::Purchase(product) => Baskets::Purchase(text(product)),
        Basket::Buy(wanted) => Baskets::Buy(encode_wanted(wanted)),
        Basket::Books { customer, lines } => Baskets::Books(proto::place_order::Books {
            customer: customer.as_str().to_owned(),
            lines: lines.iter().map(encode_wanted).collect(),
        }),
        Basket::Cart { customer, address, accepts_price_changes } => Baskets::Cart(proto::place_order::Cart {
            customer: customer.as_str().to_owned(),
            address: address.clone(),
            accepts_price_changes: *accepts_price_changes,
        }),
    };
    let card = place.card.as_ref();
    let card = card.map(|card| proto::Card { number: card.number.reveal().to_owned(), expiry: card.expiry.clone() });
    proto::PlaceOrder { basket: Some(basket), card }
}

/// A command as it was received.
///
/// # Errors
/// [`Error::Invalid`] when it breaks a limit or lacks something.
pub fn decode(command: Commands) -> Result<Command> {
    Ok(match command {
        Commands::GetProduct(m) => Command::GetProduct { product: ProductId::new(m.product)? },
        Commands::CreateProduct(m) => Command::CreateProduct { product: decode_new(m)? },
        Commands::ChangeProduct(m) => decode_change(m)?,
        Commands::DeleteProduct(m) => Command::DeleteProduct { product: ProductId::new(m.product)? },
        Commands::Replenish(m) => {
            let Wanted { product, count } = decode_wanted(proto::Line { product: m.product, count: m.count })?;
            Command::Replenish { product, count }
        }
        Commands::ListProducts(m) => Command::ListProducts(decode_list(m)?),
        Commands::PlaceOrder(m) => Command::PlaceOrder(decode_place(m)?),
        Commands::GetOrder(m) => Command::GetOrder { order: order_id(&m.order)? },
        Commands::CreateDelivery(m) => {
            check_address(&m.address)?;
            check_courier(&m.courier)?;
            Command::CreateDelivery { order: order_id(&m.order)?, address: m.address, courier: m.courier }
        }
        Commands::GetDelivery(m) => Command::GetDelivery { delivery: delivery_id(&m.delivery)? },
        Commands::MoveDelivery(m) => {
            Command::MoveDelivery { delivery: delivery_id(&m.delivery)?, status: decode_status(m.status)? }
        }
        Commands::Hold(m) => Command::Hold(Hold {
            order: order_id(&m.order)?,
            lines: decode_lines(m.lines, MAX_LINES)?,
            only_look: m.only_look,
        }),
        Commands::Settle(m) => Command::Settle(decode_settle(m)?),
        Commands::Rule(m) => Command::Rule { order: order_id(&m.order)? },
        _ => return Err(Error::Invalid("the request holds no known command".into())),
    })
}

fn order_id(bytes: &[u8]) -> Result<OrderId> {
    let id = bytes.try_into().ok().and_then(OrderId::from_bytes);
    id.ok_or_else(|| Error::Invalid("order: is no order's id".into()))
}

fn delivery_id(bytes: &[u8]) -> Result<DeliveryId> {
    let id = bytes.try_into().ok().and_then(DeliveryId::from_bytes);
    id.ok_or_else(|| Error::Invalid("delivery: is no delivery's id".into()))
}

fn decode_status(number: i32) -> Result<DeliveryStatus> {
    let found = usize::try_from(number).ok().and_then(|number| DeliveryStatus::ALL.get(number));
    found.copied().ok_or_else(|| Error::Invalid("status: is not known to this release".into()))
}

fn decode_new(m: proto::CreateProduct) -> Result<NewProduct> {
    let price = Money::from_hundredths(m.price)?;
    let details = Details { title: m.title, author: m.author, topic: m.topic, has_isbn: m.has_isbn, price };
    NewProduct::new(ProductId::new(m.product)?, details, m.stock)
}

fn decode_change(m: proto::ChangeProduct) -> Result<Command> {
    let product = ProductId::new(m.product)?;
    let change = Change {
        title: m.title,
        author: m.author,
        topic: m.topic,
        has_isbn: m.has_isbn,
        price: m.price.map(Money::from_hundredths).transpose()?,
        stock: m.stock,
        replaces: m.replaces,
    };
    change.check(&product)?;
    Ok(Command::ChangeProduct { product, change })
}

fn decode_list(m: proto::ListProducts) -> Result<ListProducts> {
    if m.limit == 0 || m.limit > MAX_LIST {
        return Err(Error::Invalid(format!("limit: must be 1 to {MAX_LIST}")));
    }
    let filter = match m.filter {
        None => Filter::All,
        Some(Filters::Topic(topic)) => Filter::Topic(topic),
        Some(Filters::Books(_)) => Filter::Books,
    };
    Ok(ListProducts { filter, after: m.after, limit: m.limit })
}

fn decode_wanted(line: proto::Line) -> Result<Wanted> {
    if line.count == 0 || line.count > MAX_COUNT {
        return Err(Error::Invalid(format!("quantity: must be 1 to {MAX_COUNT}")));
    }
    Ok(Wanted { product: ProductId::new(line.product)?, count: line.count })
}

fn decode_lines(lines: Vec<proto::Line>, most: usize) -> Result<Vec<Wanted>> {
    if lines.is_empty() || lines.len() > most {
        return Err(Error::Invalid(format!("items: {} lines, must be 1 to {most}", lines.len())));
    }
    lines.into_iter().map(decode_wanted).collect()
}

fn decode_place(m: proto::PlaceOrder) -> Result<PlaceOrder> {
    let basket = match m.basket {
        Some(Baskets::Purchase(product)) => Basket::Purchase(ProductId::new(product)?),
        Some(Baskets::Buy(line)) => Basket::Buy(decode_wanted(line)?),
        Some(Baskets::Books(books)) => Basket::Books {
            customer: CustomerId::new(books.customer)?,
            lines: decode_lines(books.lines, MAX_ORDER_LINES)?,
        },
        Some(Baskets::Cart(cart)) => {
            cart.address.as_deref().map_or(Ok(()), check_address)?;
            Basket::Cart {
                customer: CustomerId::new(cart.customer)?,
                address: cart.address,
                accepts_price_changes: cart.accepts_price_changes,
            }
        }
        None => return Err(Error::Invalid("the order holds nothing".into())),
    };
    let card = m.card.map(|card| Card::new(card.number, card.expiry)).transpose()?;
    Ok(PlaceOrder { basket, card })
}

fn decode_settle(m: proto::Settle) -> Result<Settle> {
    if m.products.is_empty() || m.products.len() > MAX_LINES {
        return Err(Error::Invalid(format!("products: must be 1 to {MAX_LINES}")));
    }
    let ruling = decode_ruling(m.ruling)?;
    if ruling == Ruling::Keep {
        return Err(Error::Invalid("ruling: must be to claim or to release".into()));
    }
    let products = m.products.into_iter().map(ProductId::new).collect::<Result<_>>()?;
    Ok(Settle { order: order_id(&m.order)?, products, ruling })
}

/// A ruling as it is sent.
pub fn encode_ruling(ruling: Ruling) -> proto::Ruling {
    match ruling {
        Ruling::Keep => proto::Ruling::Keep,
        Ruling::Claim => proto::Ruling::Claim,
        Ruling::Release => proto::Ruling::Release,
    }
}

/// A ruling as it was received.
///
/// # Errors
/// [`Error::Invalid`] for a number of a later release.
pub fn decode_ruling(number: i32) -> Result<Ruling> {
    match proto::Ruling::try_from(number) {
        Ok(proto::Ruling::Keep) => Ok(Ruling::Keep),
        Ok(proto::Ruling::Claim) => Ok(Ruling::Claim),
        Ok(proto::Ruling::Release) => Ok(Ruling::Release),
        Err(_) => Err(Error::Invalid("ruling: is not known to this release".into())),
    }
}

/// What holding found of a line, as it is sent.
pub fn encode_holding(holding: &Holding) -> proto::Holding {
    let (state, held) = match holding {
        Holding::Unknown => (State::Unknown, None),
        Holding::Settled => (State::Settled, None),
        Holding::Enough(held) => (State::Enough, Some(held)),
        Holding::Short { product } => (State::Short, Some(product)),
    };
    let encoded = held.map(|held| proto::Holding {
        state: state.into(),
        price: held.price.hundredths(),
        has_isbn: held.has_isbn,
        available: held.available,
        title: held.title.clone(),
    });
    encoded.unwrap_or(proto::Holding { state: state.into(), ..proto::Holding::default() })
}

/// What holding found of a line, as it was received.
///
/// # Errors
/// [`Error::Invalid`] for what no shard of this release says.
pub fn decode_holding(m: proto::Holding) -> Result<Holding> {
    let state = State::try_from(m.state).map_err(|_| Error::Invalid("holding: is not known to this release".into()))?;
    let held = || {
        let price = Money::from_hundredths(m.price)?;
        Ok(Held { price, has_isbn: m.has_isbn, available: m.available, title: m.title })
    };
    Ok(match state {
        State::Unknown => Holding::Unknown,
        State::Settled => Holding::Settled,
        State::Enough => Holding::Enough(held()?),
        State::Short => Holding::Short { product: held()? },
    })
}
