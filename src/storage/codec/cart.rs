//! Carts as bytes. The second format adds the order that checks the cart out. A cart that is not in checkout,
//! as most are, is still written in the first format.

use bincode::{BorrowDecode, Encode};

use super::format::{
    FORMAT_1, FORMAT_2, corrupt, decode_body, decode_changed_at, encode, encode_as, money, order_id, split, time,
    unknown_format,
};
use crate::domain::cart::{Cart, Line, MAX_COUNT, MAX_LINES, Offer};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::routing::{ItemId, OrderId};

#[derive(Encode, BorrowDecode)]
struct CartV1<'a> {
    version: u64,
    updated_at: i64,
    lines: Vec<LineV1<'a>>,
}

#[derive(Encode, BorrowDecode)]
struct CartV2<'a> {
    version: u64,
    updated_at: i64,
    lines: Vec<LineV1<'a>>,
    checkout: Option<[u8; 16]>,
}

#[derive(Encode, BorrowDecode)]
struct LineV1<'a> {
    item: &'a str,
    price: u64,
    count: u32,
    special_sale: bool,
    sale_expiration: Option<i64>,
}

impl<'a> From<CartV1<'a>> for CartV2<'a> {
    fn from(CartV1 { version, updated_at, lines }: CartV1<'a>) -> Self {
        CartV2 { version, updated_at, lines, checkout: None }
    }
}

/// Encodes a cart.
pub fn encode_cart(cart: &Cart) -> Vec<u8> {
    let lines = cart.lines.iter().map(|line| LineV1 {
        item: line.item.as_str(),
        price: line.offer.price.hundredths(),
        count: line.count,
        special_sale: line.offer.special_sale,
        sale_expiration: line.offer.sale_expiration.map(Timestamp::micros),
    });
    let (version, updated_at) = (cart.version, cart.updated_at.unwrap_or_default().micros());
    let lines = lines.collect();
    match cart.checkout {
        None => encode(&CartV1 { version, updated_at, lines }),
        Some(order) => encode_as(FORMAT_2, &CartV2 { version, updated_at, lines, checkout: Some(*order.as_bytes()) }),
    }
}

/// Decodes a cart.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a cart.
pub fn decode_cart(bytes: &[u8]) -> Result<Cart> {
    let decoded = match split(bytes)? {
        (FORMAT_1, body) => CartV2::from(decode_body::<CartV1>(body)?),
        (FORMAT_2, body) => decode_body(body)?,
        (format, _) => return Err(unknown_format(format)),
    };
    if decoded.lines.len() > MAX_LINES {
        return Err(corrupt("a cart has too many lines"));
    }
    Ok(Cart {
        version: decoded.version,
        updated_at: Some(time(decoded.updated_at)?),
        lines: decoded.lines.into_iter().map(decode_line).collect::<Result<_>>()?,
        checkout: decoded.checkout.map(order_id).transpose()?,
    })
}

/// Decodes only the order that checks a cart out; `None` for a cart that is not in checkout.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a cart.
pub fn decode_checkout(bytes: &[u8]) -> Result<Option<OrderId>> {
    match split(bytes)? {
        (FORMAT_2, _) => Ok(decode_cart(bytes)?.checkout),
        _ => Ok(None),
    }
}

/// Decodes only when a cart was last changed; `None` for a cart that is in checkout.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a cart.
pub fn decode_untouched_since(bytes: &[u8]) -> Result<Option<Timestamp>> {
    match split(bytes)? {
        (FORMAT_1, _) => Ok(Some(decode_changed_at(bytes)?)),
        _ => Ok(None),
    }
}

fn decode_line(line: LineV1<'_>) -> Result<Line> {
    if line.count == 0 || line.count > MAX_COUNT {
        return Err(corrupt("a line's count"));
    }
    Ok(Line {
        item: ItemId::from_stored(line.item),
        offer: Offer {
            price: money(line.price)?,
            special_sale: line.special_sale,
            sale_expiration: line.sale_expiration.map(time).transpose()?,
        },
        count: line.count,
    })
}

#[cfg(test)]
mod tests {
    use super::super::format::decode_version;
    use super::*;
    use crate::domain::money::Money;
    use crate::routing::Slot;
    use proptest::prelude::*;

    fn cart() -> Cart {
        let line = |item: &str, price, expires: Option<i64>| Line {
            item: ItemId::new(item).unwrap(),
            offer: Offer {
                price: Money::from_hundredths(price).unwrap(),
                special_sale: expires.is_some(),
                sale_expiration: expires.map(|micros| Timestamp::from_micros(micros).unwrap()),
            },
            count: 3,
        };
        Cart {
            version: 300,
            updated_at: Some(Timestamp::from_micros(1_763_900_000_000_000).unwrap()),
            lines: vec![line("apple", 1210, None), line("Zoë", 999_999_999_999, Some(-1))],
            checkout: None,
        }
    }

    /// Bytes of the first release, which every later one must read.
    #[rustfmt::skip]
    const CART_FORMAT_1: &[u8] = &[
        1, // the format
        251, 44, 1, // version 300
        253, 0, 176, 214, 241, 131, 136, 12, 0, // the time
        2, // lines
        5, 97, 112, 112, 108, 101, 251, 186, 4, 3, 0, 0,
        4, 90, 111, 195, 171, 253, 255, 15, 165, 212, 232, 0, 0, 0, 3, 1, 1, 1,
    ];

    #[test]
    fn a_cart_of_the_first_format_is_still_read_and_written() {
        assert_eq!(encode_cart(&cart()), CART_FORMAT_1);
        assert_eq!(decode_cart(CART_FORMAT_1).unwrap(), cart());
        assert_eq!(decode_version(CART_FORMAT_1).unwrap(), 300);
    }

    #[test]
    fn a_cart_in_checkout_is_read_back() {
        let in_checkout = Cart { checkout: Some(OrderId::new(Slot(3), 4, 5)), ..cart() };
        let bytes = encode_cart(&in_checkout);
        assert_eq!(bytes[0], FORMAT_2);
        assert_eq!(decode_cart(&bytes).unwrap(), in_checkout);
        assert_eq!(decode_version(&bytes).unwrap(), 300);
    }

    #[test]
    fn a_format_of_a_later_release_is_named() {
        let error = decode_cart(&[9, 0]).unwrap_err();
        assert!(error.detail().contains("format 9"), "{error}");
    }

    proptest! {
        #[test]
        fn no_damage_to_a_cart_makes_it_panic(at in 0..60usize, byte: u8) {
            let mut bytes = encode_cart(&cart());
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode_cart(&bytes);
        }
    }
}
