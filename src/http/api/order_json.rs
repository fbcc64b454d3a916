//! Orders as JSON.

use std::collections::BTreeSet;

use crate::client::Client;
use crate::domain::order::{Facts, OrderEvent, OrderRecord, Recorded, Status};
use crate::json::writer::Json;
use crate::routing::CustomerId;

/// The room for an order's JSON without its lines, in bytes.
pub const ORDER_BYTES: usize = 768;
/// The room for a line's JSON, in bytes; most need less.
const LINE_BYTES: usize = 96;

/// The answer to a new order.
pub fn order_summary(order: &OrderRecord) -> Vec<u8> {
    let mut json = Json::with_capacity(ORDER_BYTES);
    json.raw(r#"{"order_id":"#).string(&order.id.to_string());
    json.raw(r#","status":"#).string(order.recorded_state().status.name());
    json.raw(r#","total":"#).total(order.total()).raw("}");
    json.into_bytes()
}

/// The answer to a checkout.
pub fn order_with_lines(order: &OrderRecord) -> Vec<u8> {
    let state = order.recorded_state();
    let mut json = Json::with_capacity(room_of(order));
    json.raw(r#"{"order_id":"#).string(&order.id.to_string());
    json.raw(r#","status":"#).string(state.status.name());
    json.raw(r#","customer_id":"#).optional_string(order.customer.as_ref().map(CustomerId::as_str));
    json.raw(r#","items":"#);
    write_lines(&mut json, order);
    let delivery = state.delivery.map(|delivery| delivery.to_string());
    json.raw(r#","delivery_id":"#).optional_string(delivery.as_deref());
    json.raw(r#","total":"#).total(order.total()).raw("}");
    json.into_bytes()
}

fn write_lines(json: &mut Json, order: &Facts) {
    json.raw("[");
    for (index, line) in order.lines.iter().enumerate() {
        json.raw(if index == 0 { r#"{"id":"# } else { r#",{"id":"# }).string(line.product.as_str());
        json.raw(r#","isbn":"#).optional_string(line.has_isbn.then_some(line.product.as_str()));
        json.raw(r#","quantity":"#).integer(u64::from(line.count)).raw(r#","price":"#);
        match line.price {
            Some(price) => json.money(price),
            None => json.raw("null"),
        };
        json.raw("}");
    }
    json.raw("]");
}

/// The room that an order's JSON needs, in bytes; most need less.
pub fn room_of(order: &Facts) -> usize {
    ORDER_BYTES + LINE_BYTES * order.lines.len()
}

/// Writes an order with all that its record has. `shards` knows which shard has which part of it.
pub fn write_order(json: &mut Json, order: &OrderRecord, shards: &Client) {
    let state = order.recorded_state();
    json.raw(r#"{"order_id":"#).string(&order.id.to_string());
    json.raw(r#","customer_id":"#).optional_string(order.customer.as_ref().map(CustomerId::as_str));
    json.raw(r#","items":"#);
    write_lines(json, order);
    json.raw(r#","total":"#).total(order.total());
    json.raw(r#","payment_tx_id":"#).optional_string(state.transaction);
    json.raw(r#","payment_status":"#).string(state.payment.name());
    json.raw(r#","status":"#).string(state.status.name());
    if let Status::Refused { reason } = state.status {
        json.raw(r#","reason":"#).string(reason);
    }
    let delivery = state.delivery.map(|delivery| delivery.to_string());
    json.raw(r#","delivery_id":"#).optional_string(delivery.as_deref());
    json.raw(r#","steps":"#);
    write_steps(json, order, shards);
    json.raw("}");
}

/// Writes the steps of an order's history: which shards took part, what the gateway was asked, and who took over when the
/// order's shard had died.
fn write_steps(json: &mut Json, order: &Facts, shards: &Client) {
    let home = shards.owner(order.id.hash());
    let of_lines: BTreeSet<_> = order.lines.iter().map(|line| shards.owner(line.product.hash())).collect();
    let mut is_resumed = false;
    json.raw("[");
    for (index, step) in order.steps.iter().enumerate() {
        let name = step.event.name();
        json.raw(if index == 0 { r#"{"step":"# } else { r#",{"step":"# }).string(name);
        json.raw(r#","event":"#).string(name).raw(r#","at":"#).time(Some(step.at));
        match gateway_call(step.event, is_resumed) {
            Some(call) => _ = json.raw(r#","gateway":"#).string(call),
            None if is_about_stock(step.event) => write_numbers(json, of_lines.iter().copied()),
            None => write_numbers(json, std::iter::once(home)),
        }
        is_resumed |= step.event == OrderEvent::Resumed;
        if is_resumed {
            json.raw(r#","by":"#).string(&format!("shard {home}, after its restart"));
        }
        json.raw("}");
    }
    json.raw("]");
}

fn write_numbers(json: &mut Json, shards: impl Iterator<Item = usize>) {
    for (index, shard) in shards.enumerate() {
        json.raw(if index == 0 { r#","shards":["# } else { "," }).integer(shard as u64);
    }
    json.raw("]");
}

/// True for a step in which the shards of the products took part.
fn is_about_stock(event: OrderEvent) -> bool {
    match event {
        OrderEvent::Held | OrderEvent::Claimed | OrderEvent::Released | OrderEvent::Returned => true,
        OrderEvent::Pending
        | OrderEvent::Authorised
        | OrderEvent::Created
        | OrderEvent::Refused
        | OrderEvent::Resumed
        | OrderEvent::Captured
        | OrderEvent::CaptureFailed
        | OrderEvent::Voided
        | OrderEvent::Cancelled
        | OrderEvent::Refunded
        | OrderEvent::RefundFailed => false,
    }
}

/// What the gateway was asked in a step. An authorisation that is found after a restart was looked up: the card was gone.
fn gateway_call(event: OrderEvent, is_resumed: bool) -> Option<&'static str> {
    match event {
        OrderEvent::Authorised if is_resumed => Some("lookup"),
        OrderEvent::Authorised => Some("authorise"),
        OrderEvent::Captured | OrderEvent::CaptureFailed => Some("capture"),
        OrderEvent::Voided => Some("void"),
        OrderEvent::Refunded | OrderEvent::RefundFailed => Some("refund"),
        OrderEvent::Pending
        | OrderEvent::Held
        | OrderEvent::Created
        | OrderEvent::Refused
        | OrderEvent::Resumed
        | OrderEvent::Claimed
        | OrderEvent::Released
        | OrderEvent::Cancelled
        | OrderEvent::Returned => None,
    }
}
