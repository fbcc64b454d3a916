//! Orders as JSON.

use crate::domain::order::{Facts, OrderRecord, Recorded, Status};
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

/// Writes an order with all that its record has.
pub fn write_order(json: &mut Json, order: &OrderRecord) {
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
    json.raw(r#","steps":["#);
    for (index, step) in order.steps.iter().enumerate() {
        json.raw(if index == 0 { r#"{"step":"# } else { r#",{"step":"# }).string(step.event.name());
        json.raw(r#","at":"#).time(Some(step.at)).raw("}");
    }
    json.raw("]}");
}
