//! The kinds of records, and the commands on each.
//!
//! A record is a key and a value. The key is the hash of the record's owner (8 bytes), its kind (1 byte) and its id.
//! The value is a format byte and the fields as `codec` encodes them, a version first. *Resident* kinds are held in
//! memory; the others are read from storage.
//!
//! | kind, number | owner | id | value | written by | deleted |
//! |---|---|---|---|---|---|
//! | cart, 1 (resident) | the customer | the customer's id | lines, time, order that checks it out | [`carts`] | with its last line |
//! | product, 2 (resident) | the product | the product's id | details; counts in stock, held and sold | [`products`], [`reservations`] | when it is deleted |
//! | order, 3 | the order's slot | the order's id | the order, decided and settled | [`orders`] | never |
//! | delivery, 4 | the order's slot | the delivery's id | address, courier, status | [`deliveries`] | never |
//! | value, 5 (resident) | the key | the key | a text | [`values`] | when it is deleted |
//! | idempotency, 6 | the request's owner | digest of owner and key | fingerprint, the stored reply | [`idempotency`] | after 24 hours, or when its request fails with an error that is not final |
//! | reservation, 7 (resident) | the product | digest of order and product | count, price, incarnation | [`reservations`] | when its order is settled |
//! | open order, 8 (resident) | the order's slot | the order's id | the order, undecided or not settled | [`orders`] | when the order is closed |
//! | settlement, 9 | the product | digest of order and product | claimed or released | [`reservations`] | after 24 hours; after a minute when there are too many |
//! | place of an order, 10 | the shard, or the customer | the order's id, inverted | status, state of the payment | [`orders`] | with its order |
//! | deliveries of an order, 11 | the order's slot | the order's id | the deliveries' ids | [`deliveries`] | never |
//! | return, 12 (resident) | the product | digest of order and product | since when the home asks no more | [`returns`] | a minute after the order is closed |
//!
//! An order and its deliveries are in the slot of the customer's cart or, without a customer, of the product.

pub mod carts;
pub mod deliveries;
pub mod idempotency;
pub mod in_doubt;
pub mod orders;
pub mod products;
pub mod reservations;
pub mod returns;
#[cfg(test)]
mod test_shard;
pub mod values;
