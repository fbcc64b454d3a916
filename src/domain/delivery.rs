//! The rules of a delivery: its address, its courier, and the moves between statuses.

use std::fmt;

use super::tag::Tag;
use super::time::Timestamp;
use crate::error::{ConflictCode, Error, Invalid, Result};
use crate::routing::{DeliveryId, OrderId};

/// The longest address, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 1_024;
/// The longest name of a courier, in bytes.
pub const MAX_COURIER_BYTES: usize = 128;
/// The courier when none is named.
pub const DEFAULT_COURIER: &str = "local";

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is to be sent.
    Scheduled,
    /// It is on its way.
    Dispatched,
    /// It has arrived.
    Delivered,
    /// It will not arrive.
    Cancelled,
}

/// An order's delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The record's version.
    pub version: u64,
    /// Its id, which carries the order's home slot.
    pub id: DeliveryId,
    /// The order that is delivered.
    pub order: OrderId,
    /// The postal address.
    pub address: String,
    /// The courier.
    pub courier: String,
    /// The status.
    pub status: DeliveryStatus,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// Checks an address.
///
/// # Errors
/// [`Invalid`] that names the field.
pub fn check_address(text: &str) -> Result<(), Invalid> {
    check("address", text, MAX_ADDRESS_BYTES)
}

/// Checks the name of a courier.
///
/// # Errors
/// [`Invalid`] that names the field.
pub fn check_courier(text: &str) -> Result<(), Invalid> {
    check("courier", text, MAX_COURIER_BYTES)
}

/// Allows line feeds, since an address has several lines, and no other control character.
fn check(field: &'static str, text: &str, most: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() || text.len() > most {
        return Err(Invalid::new(field, format!("{} bytes, must be 1 to {most}, not only spaces", text.len())));
    }
    if text.chars().any(|char| char.is_control() && char != '\n' && char != '\r' && char != '\t') {
        return Err(Invalid::new(field, "control characters are not allowed"));
    }
    Ok(())
}

impl DeliveryStatus {
    /// All statuses, in the order of their numbers.
    pub const ALL: [DeliveryStatus; 4] =
        [DeliveryStatus::Scheduled, DeliveryStatus::Dispatched, DeliveryStatus::Delivered, DeliveryStatus::Cancelled];

    /// The name in HTTP responses.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryStatus::Scheduled => "scheduled",
            DeliveryStatus::Dispatched => "dispatched",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Cancelled => "cancelled",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`Invalid`] that names the field.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|status| status.name() == text);
        found.ok_or_else(|| Invalid::new("status", "must be scheduled, dispatched, delivered or cancelled"))
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Delivery {
    /// Moves the delivery to another status.
    ///
    /// # Errors
    /// [`Error::Conflict`] unless the move is from scheduled to dispatched, from dispatched to delivered, or from
    /// either of these two to cancelled.
    pub fn move_to(&mut self, status: DeliveryStatus) -> Result<()> {
        use DeliveryStatus::{Cancelled, Delivered, Dispatched, Scheduled};
        match (self.status, status) {
            (Scheduled, Dispatched | Cancelled) | (Dispatched, Delivered | Cancelled) => {
                self.status = status;
                Ok(())
            }
            (from, to) => {
                let detail = format!("status: a delivery does not go from {from} to {to}");
                Err(Error::conflict(ConflictCode::WrongState, detail))
            }
        }
    }

    /// Its entity tag.
    pub fn tag(&self) -> Tag {
        Tag::of_version(self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Slot;

    #[test]
    fn only_the_documented_moves_are_possible() {
        let allowed = |from, to| {
            let mut delivery = Delivery {
                version: 1,
                id: DeliveryId::new(Slot(0), 0, 0),
                order: OrderId::new(Slot(0), 0, 0),
                address: "x".into(),
                courier: DEFAULT_COURIER.into(),
                status: from,
                updated_at: Timestamp::default(),
            };
            delivery.move_to(to).is_ok()
        };
        let moves: Vec<_> = DeliveryStatus::ALL
            .into_iter()
            .flat_map(|from| DeliveryStatus::ALL.into_iter().map(move |to| (from.name(), to.name(), allowed(from, to))))
            .filter_map(|(from, to, allowed)| allowed.then_some((from, to)))
            .collect();
        let expected = [
            ("scheduled", "dispatched"),
            ("scheduled", "cancelled"),
            ("dispatched", "delivered"),
            ("dispatched", "cancelled"),
        ];
        assert_eq!(moves, expected);
    }

    #[test]
    fn addresses_are_bounded() {
        assert!(check_address("1 Main St\nTown").is_ok());
        for text in ["", " \n", "a\0", &"x".repeat(MAX_ADDRESS_BYTES + 1)] {
            assert!(check_address(text).is_err(), "{text:?}");
        }
        assert!(check_courier(&"x".repeat(MAX_COURIER_BYTES)).is_ok());
        assert!(check_courier(&"x".repeat(MAX_COURIER_BYTES + 1)).is_err());
    }
}
