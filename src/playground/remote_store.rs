//! The store that shoppers use: a real one, over its HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::action::{Action, Delivery, Fact, Order, Question, Refusal, Reply, Store};
use super::cart::{Line, Lines};
use super::products;
use super::stock::Shown;
use crate::access::Secret;
use crate::domain::money::Money;
use crate::error::{Error, Result};
use crate::remote::{Answer, Client, Failure, IdempotencyKey, Outcome, Path, Request};

/// A card that the simulated gateway lets pay.
const CARD: &str = "4242424242424242";

/// A store behind its HTTP API.
pub struct RemoteStore(Client);

/// A cart, or the receipt of one.
#[derive(Deserialize)]
struct CartBody {
    items: Vec<CartLine>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CartLine {
    item_id: String,
    offered_price: Box<RawValue>,
    item_count: u32,
}

#[derive(Deserialize)]
struct OrderBody {
    order_id: String,
    status: String,
    items: Vec<OrderLine>,
    delivery_id: Option<String>,
}

#[derive(Deserialize)]
struct OrderLine {
    id: String,
    quantity: u32,
    price: Box<RawValue>,
}

#[derive(Deserialize)]
struct DeliveryBody {
    delivery_id: String,
    order_id: String,
    status: String,
}

#[derive(Deserialize)]
struct ProductBody {
    stock: u64,
    held: u64,
    sold: u64,
    received: u64,
}

/// What an answer is about.
#[derive(Clone, Copy)]
enum Subject {
    Cart,
    Order,
    Delivery,
    Product,
    /// Nothing that is checked.
    Other,
}

impl Store for RemoteStore {
    async fn act(&self, action: &Action, key: &IdempotencyKey, time: Duration) -> Reply {
        match request_of(action, key) {
            Ok((request, subject)) => self.send(&request, subject, time).await,
            Err(error) => broken(&error, 0),
        }
    }

    async fn tell(&self, question: &Question, time: Duration) -> Reply {
        let (segments, subject) = match question {
            Question::Cart(id) => (vec!["items", id], Subject::Cart),
            Question::Product(id) => (vec!["catalog", "books", id], Subject::Product),
            Question::Order(id) => (vec!["api", "orders", id], Subject::Order),
            Question::Delivery(id) => (vec!["api", "delivery", id], Subject::Delivery),
        };
        match Path::of(&segments) {
            Ok(path) => self.send(&Request::get(path), subject, time).await,
            Err(error) => broken(&error.into(), 0),
        }
    }
}

impl RemoteStore {
    /// The store whose shop listens here, with an API key for it.
    ///
    /// # Errors
    /// [`Error::Internal`] when no client can be made.
    pub fn at(shop: SocketAddr, key: &Secret) -> Result<Self> {
        Ok(RemoteStore(Client::new(format!("http://{shop}").parse()?, Some(key))?))
    }

    async fn send(&self, request: &Request, subject: Subject, time: Duration) -> Reply {
        match self.0.send(request, time).await {
            Ok(answer) => match read(subject, &answer) {
                Ok(fact) => Reply { said: Ok(fact), attempts: answer.attempts },
                Err(error) => broken(&error, answer.attempts),
            },
            Err(Failure { outcome, code, detail, attempts, .. }) => {
                Reply { said: Err(Refusal { outcome, code: code.unwrap_or_default(), detail }), attempts }
            }
        }
    }
}

/// A reply for what is no store's answer.
fn broken(error: &Error, attempts: u32) -> Reply {
    let refusal = Refusal { outcome: Outcome::Refused, code: "unreadable".into(), detail: error.to_string() };
    Reply { said: Err(refusal), attempts }
}

fn request_of(action: &Action, key: &IdempotencyKey) -> Result<(Request, Subject)> {
    let keyed = |method, segments: &[&str]| Ok::<_, Error>(Request::keyed(method, Path::of(segments)?, key.clone()));
    Ok(match action {
        Action::Add { customer, item, line } => {
            let body = format!(r#"{{"offeredPrice":{},"itemCount":{}}}"#, line.price, line.count);
            (keyed(Method::POST, &["item", customer, item])?.with_json(body), Subject::Cart)
        }
        Action::Set { customer, item, count } => {
            let body = json!({"newCount": count});
            (keyed(Method::PUT, &["item", customer, item])?.with_json(body.to_string()), Subject::Cart)
        }
        Action::Remove { customer, item } => (keyed(Method::DELETE, &["item", customer, item])?, Subject::Cart),
        Action::Empty { customer } => (keyed(Method::DELETE, &["items", customer])?, Subject::Cart),
        Action::CheckOut { customer, with_address } => {
            let address = with_address.then_some("1 Main St");
            let body = json!({"payment": {"card_number": CARD}, "address": address});
            (keyed(Method::POST, &["checkout", customer])?.with_json(body.to_string()), Subject::Order)
        }
        Action::Purchase { product } => (keyed(Method::POST, &["purchase", product])?, Subject::Other),
        Action::Deliver { order } => {
            let body = json!({"order_id": order, "address": "1 Main St"});
            (keyed(Method::POST, &["api", "delivery"])?.with_json(body.to_string()), Subject::Delivery)
        }
        Action::Move { delivery, status } => {
            let body = json!({"status": status});
            (keyed(Method::PATCH, &["api", "delivery", delivery])?.with_json(body.to_string()), Subject::Delivery)
        }
        Action::Cancel { order } => (keyed(Method::POST, &["api", "orders", order, "cancel"])?, Subject::Order),
        Action::Create { product, stock } => {
            let body = format!(
                r#"{{"id":"{product}","title":"A product of the simulated shoppers","price":{},"stock":{stock}}}"#,
                products::PRICE
            );
            (keyed(Method::POST, &["catalog", "books"])?.with_json(body), Subject::Other)
        }
        Action::Replenish { product, quantity } => {
            let body = json!({"id": product, "quantity": quantity});
            (keyed(Method::PUT, &["replenish"])?.with_json(body.to_string()), Subject::Other)
        }
    })
}

fn read(subject: Subject, answer: &Answer) -> Result<Fact> {
    Ok(match subject {
        Subject::Cart => {
            let CartBody { items } = answer.json()?;
            Fact::Cart(lines(items.into_iter().map(|line| (line.item_id, line.item_count, line.offered_price)))?)
        }
        Subject::Order => {
            let OrderBody { order_id, status, items, delivery_id } = answer.json()?;
            let lines = lines(items.into_iter().map(|line| (line.id, line.quantity, line.price)))?;
            Fact::Order(Order { id: order_id, status, lines, delivery: delivery_id })
        }
        Subject::Delivery => {
            let DeliveryBody { delivery_id, order_id, status } = answer.json()?;
            Fact::Delivery(Delivery { id: delivery_id, order: order_id, status })
        }
        Subject::Product => {
            let ProductBody { stock, held, sold, received } = answer.json()?;
            Fact::Product(Shown { stock, held, sold, received })
        }
        Subject::Other => Fact::Done,
    })
}

fn lines(lines: impl Iterator<Item = (String, u32, Box<RawValue>)>) -> Result<Lines> {
    lines.map(|(item, count, price)| Ok((item, Line { count, price: Money::parse(price.get())? }))).collect()
}
