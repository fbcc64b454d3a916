//! Carts: `/items/{customerId}` and `/item/{customerId}/{itemId}`.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::call::{Call, Segment};
use super::problem::Problem;
use super::response::{Decimal, Time, empty, json, with_replayed, with_tag};
use crate::client::Client;
use crate::domain::cart::{Cart, Line, MAX_COUNT, Offer};
use crate::domain::command::{Answer, Command, Outcome, Request};
use crate::domain::money::{Money, Total};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::key::{CustomerId, ItemId};

type Handled = Result<Response<Bytes>, Problem>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CartBody<'a> {
    customer_id: &'a str,
    version: u64,
    items: Lines<'a>,
    item_total: u64,
    total: Decimal<Total>,
    updated_at: Option<Time>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptBody<'a> {
    customer_id: &'a str,
    items: Lines<'a>,
    item_total: u64,
    total: Decimal<Total>,
    checked_out_at: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineBody<'a> {
    item_id: &'a str,
    offered_price: Decimal<Money>,
    item_count: u32,
    special_sale: bool,
    sale_expiration: Option<Time>,
    sale_active: bool,
}

/// The lines of a cart as they look at a time.
struct Lines<'a> {
    lines: &'a [Line],
    at: Timestamp,
}

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.lines.len()))?;
        for Line { item, offer, count } in self.lines {
            sequence.serialize_element(&LineBody {
                item_id: item.as_str(),
                offered_price: Decimal(offer.price),
                item_count: *count,
                special_sale: offer.special_sale,
                sale_expiration: offer.sale_expiration.map(Time),
                sale_active: offer.is_sale_active(self.at),
            })?;
        }
        sequence.end()
    }
}

/// `/items/{customerId}`: the whole cart.
pub async fn items(client: &Client, call: &Call, customer: Segment) -> Handled {
    match call.method {
        Method::GET | Method::HEAD => get(client, call, customer).await,
        Method::DELETE => take(client, call, customer).await,
        _ => Err(Problem::method_not_allowed("GET, HEAD, DELETE")),
    }
}

/// `/item/{customerId}/{itemId}`: one line.
pub async fn item(client: &Client, call: &Call, customer: Segment, item: Segment) -> Handled {
    let method = &call.method;
    if ![Method::POST, Method::PUT, Method::DELETE].contains(method) {
        return Err(Problem::method_not_allowed("POST, PUT, DELETE"));
    }
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    let item = ItemId::new(item.decode("itemId")?)?;
    let command = match *method {
        Method::POST => add_line(call, customer.clone(), item)?,
        Method::PUT => {
            let count = call.members()?.count("newCount", 0, MAX_COUNT)?;
            Command::SetCount { customer: customer.clone(), item, count }
        }
        _ => Command::RemoveLine { customer: customer.clone(), item },
    };
    change(client, &customer, &call.change(command)?).await
}

fn add_line(call: &Call, customer: CustomerId, item: ItemId) -> Result<Command, Problem> {
    let members = call.members()?;
    let offer = Offer {
        price: members.money("offeredPrice")?,
        special_sale: members.flag("specialSale", false)?,
        sale_expiration: members.time("saleExpiration")?,
    };
    Ok(Command::AddLine { customer, item, offer, count: members.count("itemCount", 1, MAX_COUNT)? })
}

async fn get(client: &Client, call: &Call, customer: Segment) -> Handled {
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    let reply = client.call(&Request::new(Command::GetCart { customer: customer.clone() })).await;
    let (cart, at, _) = cart_of(reply.result?)?;
    let tag = cart.tag(at);
    if call.has_current(tag)? {
        return Ok(with_tag(empty(StatusCode::NOT_MODIFIED), tag));
    }
    Ok(cart_response(StatusCode::OK, &customer, &cart, at))
}

async fn change(client: &Client, customer: &CustomerId, request: &Request) -> Handled {
    let reply = client.call(request).await;
    let (cart, at, created) = cart_of(reply.result.map_err(|error| failed(error, reply.replayed))?)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_replayed(cart_response(status, customer, &cart, at), reply.replayed))
}

async fn take(client: &Client, call: &Call, customer: Segment) -> Handled {
    let customer = CustomerId::new(customer.decode("customerId")?)?;
    let request = call.change(Command::TakeCart { customer: customer.clone() })?;
    let reply = client.call(&request).await;
    let (cart, at, _) = cart_of(reply.result.map_err(|error| failed(error, reply.replayed))?)?;
    let receipt = ReceiptBody {
        customer_id: customer.as_str(),
        items: Lines { lines: &cart.lines, at },
        item_total: cart.item_total(),
        total: Decimal(cart.total()),
        checked_out_at: Time(at),
    };
    Ok(with_replayed(json(StatusCode::OK, &receipt), reply.replayed))
}

fn failed(error: Error, replayed: bool) -> Problem {
    if replayed { Problem::replayed(&error, true) } else { Problem::from(error) }
}

/// The cart of an answer, when it was computed, and whether a line is new.
fn cart_of(answer: Answer) -> Result<(Cart, Timestamp, bool), Problem> {
    match answer.outcome {
        Outcome::Cart(cart) => Ok((cart, answer.at, answer.created)),
        _ => Err(Problem::from(Error::Fault("the shard answered with something else than a cart".into()))),
    }
}

fn cart_response(status: StatusCode, customer: &CustomerId, cart: &Cart, at: Timestamp) -> Response<Bytes> {
    let body = CartBody {
        customer_id: customer.as_str(),
        version: cart.version,
        items: Lines { lines: &cart.lines, at },
        item_total: cart.item_total(),
        total: Decimal(cart.total()),
        updated_at: cart.updated_at.map(Time),
    };
    with_tag(json(status, &body), cart.tag(at))
}
