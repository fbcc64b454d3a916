//! Queries for orders.

use super::orders::order_id;
use super::products::MAX_LIST;
use super::proto;
use crate::domain::order::{OrderStatus, PaymentStatus};
use crate::error::{Error, Result};
use crate::routing::{CustomerId, OrderId};
use proto::request::Command as Message;

/// A query for the orders of one shard, or of one customer, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOrders {
    /// The customer; `None` for the orders of all customers and of none.
    pub customer: Option<CustomerId>,
    /// The condition that they must meet.
    pub filter: OrderFilter,
    /// The order after which the list begins.
    pub after: Option<OrderId>,
    /// The most orders: 1 to [`MAX_LIST`].
    pub limit: u32,
}

/// The condition that listed orders must meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// The status; `None` for any.
    pub status: Option<OrderStatus>,
    /// The state of the payment; `None` for any.
    pub payment: Option<PaymentStatus>,
}

impl OrderFilter {
    /// True for an order with this status and this state of its payment.
    pub fn accepts(&self, status: OrderStatus, payment: PaymentStatus) -> bool {
        self.status.is_none_or(|wanted| wanted == status) && self.payment.is_none_or(|wanted| wanted == payment)
    }
}

impl ListOrders {
    pub(super) fn encode(&self) -> Message {
        Message::ListOrders(proto::ListOrders {
            customer: self.customer.as_ref().map(|customer| customer.as_str().to_owned()),
            status: self.filter.status.map(|status| status as u32),
            payment_status: self.filter.payment.map(|payment| payment as u32),
            after: self.after.map(|order| order.as_bytes().to_vec()).unwrap_or_default(),
            limit: self.limit,
        })
    }
}

pub(super) fn list(message: proto::ListOrders) -> Result<ListOrders> {
    if message.limit == 0 || message.limit > MAX_LIST {
        return Err(Error::invalid("limit", format!("must be 1 to {MAX_LIST}")));
    }
    let filter = OrderFilter {
        status: message.status.map(|number| numbered("status", number)).transpose()?,
        payment: message.payment_status.map(|number| numbered("payment_status", number)).transpose()?,
    };
    let after = if message.after.is_empty() { None } else { Some(order_id(&message.after)?) };
    let customer = message.customer.map(CustomerId::new).transpose()?;
    Ok(ListOrders { customer, filter, after, limit: message.limit })
}

fn numbered<T: TryFrom<u8>>(field: &'static str, number: u32) -> Result<T> {
    let found = u8::try_from(number).ok().and_then(|number| T::try_from(number).ok());
    found.ok_or_else(|| Error::invalid(field, "is not known to this release"))
}
