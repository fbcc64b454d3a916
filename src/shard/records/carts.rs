//! Carts, and the commands on them. While an order checks a cart out, the cart's lines can only be added to.

use bytes::Bytes;

use super::orders;
use crate::domain::cart::{Added, Cart, Offer};
use crate::domain::order::{AgreedPrice, Facts, OrderLine, OrderedItem};
use crate::domain::tag::Condition;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::{CartCommand, CommandOutput, Request};
use crate::routing::{CustomerId, ItemId, KeyHash, OrderId, ProductId};
use crate::shard::engine::Transaction;
use crate::storage::codec;
use crate::storage::{Record, RecordKey, RecordKind};

/// The records that one step of a removal looks at, and the carts that it removes, before it ends with a part.
const MAX_LOOKED_AT: usize = 4_096;
const MAX_REMOVED: usize = 1_000;

fn key(hash: KeyHash, customer: &CustomerId) -> RecordKey<'_> {
    RecordKey { hash, kind: RecordKind::Cart, id: customer.as_str().as_bytes() }
}

/// Executes a command on a cart.
///
/// # Errors
/// [`Error::NotFound`] for a missing line or an empty cart, [`Error::Conflict`] past a limit, [`Error::InFlight`]
/// while the cart is being checked out, or [`Error::PreconditionFailed`].
pub fn execute(
    txn: &mut Transaction<'_>,
    request: &Request,
    customer: &CustomerId,
    command: &CartCommand,
) -> Result<CommandOutput> {
    match command {
        CartCommand::Get => Ok(get(txn, request, customer)),
        CartCommand::AddLine { item, offer, count } => add(txn, request, customer, (item, *offer, *count)),
        CartCommand::SetCount { item, count } => set_count(txn, request, customer, item, *count),
        CartCommand::RemoveLine { item } => remove(txn, request, customer, item),
        CartCommand::Take => take(txn, request, customer),
    }
}

/// Reads a cart and checks the request's condition. A customer without a cart has an empty one of version 0.
fn checked(txn: &mut Transaction<'_>, request: &Request, customer: &CustomerId) -> Result<Cart> {
    let record = txn.read(key(request.hash, customer));
    let cart = record.map(codec::decode_cart).transpose()?.unwrap_or_default();
    Condition::check(request.if_match.as_ref(), Some(cart.tag(txn.now())))?;
    Ok(cart)
}

/// Reads a cart.
fn get(txn: &mut Transaction<'_>, request: &Request, customer: &CustomerId) -> CommandOutput {
    let record = txn.read(key(request.hash, customer));
    CommandOutput::cart(record.map(Bytes::copy_from_slice))
}

/// Adds an item, or adds to its count.
fn add(
    txn: &mut Transaction<'_>,
    request: &Request,
    customer: &CustomerId,
    (item, offer, count): (&ItemId, Offer, u32),
) -> Result<CommandOutput> {
    change(txn, request, customer, |cart| Ok(cart.add(item.clone(), offer, count)? == Added::New))
}

/// Sets the count of a line; 0 removes it.
fn set_count(
    txn: &mut Transaction<'_>,
    request: &Request,
    customer: &CustomerId,
    item: &ItemId,
    count: u32,
) -> Result<CommandOutput> {
    check_not_in_checkout(txn, request, customer, Some(item))?;
    change(txn, request, customer, |cart| cart.set_count(item, count).map(|()| false))
}

/// Removes a line.
fn remove(txn: &mut Transaction<'_>, request: &Request, customer: &CustomerId, item: &ItemId) -> Result<CommandOutput> {
    check_not_in_checkout(txn, request, customer, Some(item))?;
    change(txn, request, customer, |cart| cart.remove(item).map(|()| false))
}

/// Applies a change, which returns whether it added a line.
fn change(
    txn: &mut Transaction<'_>,
    request: &Request,
    customer: &CustomerId,
    change: impl FnOnce(&mut Cart) -> Result<bool>,
) -> Result<CommandOutput> {
    let mut cart = checked(txn, request, customer)?;
    let created = change(&mut cart)?;
    let key = key(request.hash, customer);
    if cart.lines.is_empty() {
        txn.delete(key);
        return Ok(CommandOutput::cart(None).with_created(created));
    }
    cart.version = txn.next_version();
    cart.updated_at = Some(txn.now());
    let record = codec::encode_cart(&cart);
    txn.put(key, &record);
    Ok(CommandOutput::cart(Some(record.into())).with_created(created))
}

/// Refuses to change a line that is being checked out or, without an item, a cart that is being checked out.
fn check_not_in_checkout(
    txn: &mut Transaction<'_>,
    request: &Request,
    customer: &CustomerId,
    item: Option<&ItemId>,
) -> Result<()> {
    let record = txn.read(key(request.hash, customer));
    let Some(order) = record.map(codec::decode_checkout).transpose()?.flatten() else { return Ok(()) };
    let order = orders::find(txn, order)?;
    let is_ordered = |item: &ItemId| {
        order.is_some_and(|order| order.lines.iter().any(|line| line.product.as_str() == item.as_str()))
    };
    match item.is_none_or(is_ordered) {
        true => Err(Error::InFlight("the cart is being checked out; until that is decided, only adding works".into())),
        false => Ok(()),
    }
}

/// Empties a cart and replies with what it held.
fn take(txn: &mut Transaction<'_>, request: &Request, customer: &CustomerId) -> Result<CommandOutput> {
    check_not_in_checkout(txn, request, customer, None)?;
    let cart = checked(txn, request, customer)?;
    if cart.lines.is_empty() {
        return Err(Error::NotFound("the cart is empty".into()));
    }
    txn.delete(key(request.hash, customer));
    Ok(CommandOutput::cart(Some(codec::encode_cart(&cart).into())))
}

/// One step in the removal of untouched carts.
pub struct Removal {
    /// The number of carts that were removed.
    pub removed: u64,
    /// The part at which the next step begins: 0 after the last one.
    pub next: usize,
}

/// Removes carts that were last changed before a time, and are not being checked out, from `part` on. It ends after some
/// thousand records at most.
pub fn remove_untouched(txn: &mut Transaction<'_>, before: Timestamp, part: usize) -> Removal {
    let mut untouched = Vec::new();
    let (mut next, mut looked_at) = (part, 0);
    while looked_at < MAX_LOOKED_AT && untouched.len() < MAX_REMOVED {
        let Some(records) = txn.part(next) else {
            next = 0;
            break;
        };
        looked_at += records.len();
        // A record that cannot be read is reported by whoever reads it.
        let is_untouched = |record: &&Record| {
            record.is_kind(RecordKind::Cart)
                && codec::decode_untouched_since(record.value()).is_ok_and(|since| since.is_some_and(|at| at < before))
        };
        untouched.extend(records.filter(is_untouched).cloned());
        next += 1;
    }
    untouched.iter().for_each(|record| txn.delete_record(record));
    Removal { removed: untouched.len() as u64, next }
}

/// The lines of an order for everything in a cart, at the offered prices.
///
/// # Errors
/// [`Error::NotFound`] for an empty cart, [`Error::InFlight`] for a cart that is already being checked out, or
/// [`Error::PreconditionFailed`].
pub fn order_lines(txn: &mut Transaction<'_>, request: &Request, customer: &CustomerId) -> Result<Vec<OrderLine>> {
    let cart = checked(txn, request, customer)?;
    if cart.checkout.is_some() {
        return Err(Error::InFlight("the cart is being checked out".into()));
    }
    if cart.lines.is_empty() {
        return Err(Error::NotFound("the cart is empty".into()));
    }
    let now = txn.now();
    let lines = cart.lines.iter().map(|line| {
        let item = OrderedItem { product: ProductId::from_stored(line.item.as_str()), count: line.count };
        let agreed = match line.offer.has_sale_expired(now) {
            true => AgreedPrice::ExpiredOffer(line.offer.price),
            false => AgreedPrice::Offer(line.offer.price),
        };
        OrderLine::new(item, agreed)
    });
    Ok(lines.collect())
}

/// Marks a cart as being checked out by an order. Its version stays.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn mark_checkout(txn: &mut Transaction<'_>, customer: &CustomerId, order: OrderId) -> Result<()> {
    let key = key(customer.hash(), customer);
    let cart = txn.read(key).map(codec::decode_cart).transpose()?.unwrap_or_default();
    txn.put(key, &codec::encode_cart(&Cart { checkout: Some(order), ..cart }));
    Ok(())
}

/// Ends the checkout of an order's cart and removes the counts that were sold. If nothing was sold, the cart keeps
/// its version.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn end_checkout(txn: &mut Transaction<'_>, order: &Facts, sold: bool) -> Result<()> {
    let Some(customer) = &order.customer else { return Ok(()) };
    let key = key(customer.hash(), customer);
    let Some(mut cart) = txn.read(key).map(codec::decode_cart).transpose()? else { return Ok(()) };
    if !sold && cart.checkout != Some(order.id) {
        return Ok(());
    }
    cart.checkout = None;
    if sold {
        for line in &order.lines {
            cart.subtract(&ItemId::from_stored(line.product.as_str()), line.count);
        }
        cart.version = txn.next_version();
        cart.updated_at = Some(txn.now());
    }
    match cart.lines.is_empty() {
        true => txn.delete(key),
        false => txn.put(key, &codec::encode_cart(&cart)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::money::Money;
    use crate::domain::order::{NewOrder, Order, Origin};
    use crate::routing::{SLOTS, Slot};
    use crate::shard::engine::{Resident, Writer};
    use crate::storage::MemoryStorage;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_refused_order_does_not_end_the_checkout_of_another() {
        let mut writer = Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS - 1);
        let mut txn = Transaction::begin(&mut writer, at(1));
        let customer = CustomerId::new("alice").unwrap();
        let order = |number| {
            let id = OrderId::new(Slot(1), 2, number);
            let item = OrderedItem { product: ProductId::new("tea").unwrap(), count: 1 };
            let new = NewOrder {
                id,
                origin: Origin::Checkout,
                customer: Some(customer.clone()),
                lines: vec![OrderLine::new(item, AgreedPrice::Catalog)],
                address: None,
                accepts_price_changes: false,
                card: None,
                idempotency: None,
            };
            Order::place(new, at(1))
        };
        mark_checkout(&mut txn, &customer, order(1).id).unwrap();
        let mut checkout_after_refusal = |number| {
            end_checkout(&mut txn, &order(number), false).unwrap();
            let cart = txn.read(key(customer.hash(), &customer)).map(codec::decode_cart).transpose().unwrap();
            cart.and_then(|cart| cart.checkout)
        };
        assert_eq!(checkout_after_refusal(2), Some(OrderId::new(Slot(1), 2, 1)));
        assert_eq!(checkout_after_refusal(1), None);
    }

    #[test]
    fn only_carts_that_are_untouched_and_not_in_checkout_are_removed() {
        let mut writer = Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS - 1);
        let offer = Offer { price: Money::default(), special_sale: false, sale_expiration: None };
        for (name, changed) in [("old", 10), ("new", 30), ("in checkout", 10)] {
            let customer = CustomerId::new(name).unwrap();
            let command = CartCommand::AddLine { item: ItemId::new("tea").unwrap(), offer, count: 1 };
            let request = Request::new(crate::protocol::Command::Cart { customer: customer.clone(), command });
            let mut txn = Transaction::begin(&mut writer, at(changed));
            add(&mut txn, &request, &customer, (&ItemId::new("tea").unwrap(), offer, 1)).unwrap();
            if name == "in checkout" {
                mark_checkout(&mut txn, &customer, OrderId::new(Slot(1), 2, 3)).unwrap();
            }
        }
        let mut txn = Transaction::begin(&mut writer, at(40));
        let step = remove_untouched(&mut txn, at(20), 0);
        assert_eq!((step.removed, step.next), (1, 0));
        let mut is_there = |name: &str| {
            let customer = CustomerId::new(name).unwrap();
            txn.read(key(customer.hash(), &customer)).is_some()
        };
        assert_eq!(["old", "new", "in checkout"].map(&mut is_there), [false, true, true]);
    }

    #[test]
    fn a_step_of_a_removal_ends_with_a_part_of_very_many_carts() {
        const CARTS: usize = 3 * MAX_REMOVED;
        let mut writer = Writer::new(Resident::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS - 1);
        let offer = Offer { price: Money::default(), special_sale: false, sale_expiration: None };
        for number in 0..2 * MAX_LOOKED_AT {
            let customer = CustomerId::new(format!("customer-{number}")).unwrap();
            let item = ItemId::new("tea").unwrap();
            let command = CartCommand::AddLine { item: item.clone(), offer, count: 1 };
            let request = Request::new(crate::protocol::Command::Cart { customer: customer.clone(), command });
            let changed = if number < CARTS { 10 } else { 30 };
            add(&mut Transaction::begin(&mut writer, at(changed)), &request, &customer, (&item, offer, 1)).unwrap();
        }
        let mut txn = Transaction::begin(&mut writer, at(40));
        let none = remove_untouched(&mut txn, at(5), 0);
        assert!(none.removed == 0 && none.next > 0, "it looked at a part");
        let first = remove_untouched(&mut txn, at(20), 0);
        let enough = MAX_REMOVED as u64..2 * MAX_REMOVED as u64;
        assert!(enough.contains(&first.removed) && first.next > 0, "{}", first.removed);
        let (mut removed, mut next) = (first.removed, first.next);
        while next > 0 {
            let step = remove_untouched(&mut txn, at(20), next);
            (removed, next) = (removed + step.removed, step.next);
        }
        assert_eq!(removed, CARTS as u64);
    }
}
