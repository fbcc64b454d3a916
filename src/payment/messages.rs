//! The JSON of the protocol between a store and a payment gateway, for both sides.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The body of `PUT payments/ORDER`.
#[derive(Serialize, Deserialize)]
pub struct Authorise<'a> {
    /// The amount, with both fraction digits: `12.10`.
    #[serde(borrow)]
    pub amount: Cow<'a, str>,
    /// The card's number.
    #[serde(borrow)]
    pub card_number: Cow<'a, str>,
    /// The card's expiry as the customer wrote it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Cow<'a, str>>,
}

/// The body of every answer about a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What became of the payment; none when it is not known, or the request is malformed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<State>,
    /// The gateway's id of an authorised payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// Why it is not authorised or not captured, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The money is set aside.
    Authorised,
    /// The money is taken.
    Captured,
    /// The payment is finally refused.
    Refused,
    /// What was set aside is given up, and a later authorisation is refused.
    Voided,
    /// The money that was taken is given back.
    Refunded,
}
