//! Commands on a delivery.

use super::effect::Effect;
use super::orders::order_id;
use super::owner::Owner;
use super::proto;
use crate::domain::delivery::{DeliveryStatus, check_address, check_courier};
use crate::error::{Error, Result};
use crate::routing::{DeliveryId, OrderId};
use proto::request::Command as Message;

/// A command on one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryCommand {
    /// Creates a delivery of an order.
    Create {
        /// The order.
        order: OrderId,
        /// The postal address.
        address: String,
        /// The courier.
        courier: String,
    },
    /// Reads a delivery.
    Get(DeliveryId),
    /// Moves a delivery on to its next status.
    Move {
        /// The delivery.
        delivery: DeliveryId,
        /// The new status.
        status: DeliveryStatus,
    },
}

impl DeliveryCommand {
    pub(super) fn owner(&self) -> Owner<'_> {
        match self {
            DeliveryCommand::Create { order, .. } => Owner::Order(*order),
            DeliveryCommand::Get(delivery) | DeliveryCommand::Move { delivery, .. } => Owner::Delivery(*delivery),
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            DeliveryCommand::Get(_) => Effect::Read,
            DeliveryCommand::Create { .. } | DeliveryCommand::Move { .. } => Effect::Once,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            DeliveryCommand::Create { .. } => "delivery.create",
            DeliveryCommand::Get(_) => "delivery.get",
            DeliveryCommand::Move { .. } => "delivery.move",
        }
    }

    pub(super) fn encode(&self) -> Message {
        match self {
            DeliveryCommand::Create { order, address, courier } => Message::CreateDelivery(proto::CreateDelivery {
                order: order.as_bytes().to_vec(),
                address: address.clone(),
                courier: courier.clone(),
            }),
            DeliveryCommand::Get(delivery) => {
                Message::GetDelivery(proto::GetDelivery { delivery: delivery.as_bytes().to_vec() })
            }
            DeliveryCommand::Move { delivery, status } => Message::MoveDelivery(proto::MoveDelivery {
                delivery: delivery.as_bytes().to_vec(),
                status: *status as i32,
            }),
        }
    }
}

pub(super) fn create(message: proto::CreateDelivery) -> Result<DeliveryCommand> {
    check_address(&message.address)?;
    check_courier(&message.courier)?;
    let order = order_id(&message.order)?;
    Ok(DeliveryCommand::Create { order, address: message.address, courier: message.courier })
}

pub(super) fn move_to(message: &proto::MoveDelivery) -> Result<DeliveryCommand> {
    let delivery = delivery_id(&message.delivery)?;
    let status = usize::try_from(message.status).ok().and_then(|number| DeliveryStatus::ALL.get(number));
    let status = status.ok_or_else(|| Error::invalid("status", "is not known to this release"))?;
    Ok(DeliveryCommand::Move { delivery, status: *status })
}

pub(super) fn delivery_id(bytes: &[u8]) -> Result<DeliveryId> {
    let id = bytes.try_into().ok().and_then(DeliveryId::from_bytes);
    id.ok_or_else(|| Error::invalid("delivery", "is no delivery's id"))
}
