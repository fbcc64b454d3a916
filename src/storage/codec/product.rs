//! Products as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{corrupt, decode, encode, money};
use crate::domain::product::{Details, Product};
use crate::error::Result;

#[derive(Encode, BorrowDecode)]
struct ProductV1<'a> {
    version: u64,
    incarnation: u64,
    title: &'a str,
    author: Option<&'a str>,
    topic: Option<&'a str>,
    has_isbn: bool,
    price: u64,
    stock: u64,
    held: u64,
    sold: u64,
    received: u64,
}

/// Encodes a product.
pub fn encode_product(product: &Product) -> Vec<u8> {
    let details = &product.details;
    encode(&ProductV1 {
        version: product.version,
        incarnation: product.incarnation,
        title: &details.title,
        author: details.author.as_deref(),
        topic: details.topic.as_deref(),
        has_isbn: details.has_isbn,
        price: details.price.hundredths(),
        stock: product.stock,
        held: product.held,
        sold: product.sold,
        received: product.received,
    })
}

/// Decodes a product.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a product, or its stock does not add up.
pub fn decode_product(bytes: &[u8]) -> Result<Product> {
    let decoded: ProductV1 = decode(bytes)?;
    let product = Product {
        version: decoded.version,
        incarnation: decoded.incarnation,
        details: Details {
            title: decoded.title.to_owned(),
            author: decoded.author.map(str::to_owned),
            topic: decoded.topic.map(str::to_owned),
            has_isbn: decoded.has_isbn,
            price: money(decoded.price)?,
        },
        stock: decoded.stock,
        held: decoded.held,
        sold: decoded.sold,
        received: decoded.received,
    };
    if !product.is_balanced() {
        return Err(corrupt("a product's stock does not add up"));
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product() -> Product {
        let price = money(1_299).unwrap();
        let details = Details { title: "Té".into(), author: Some("A".into()), topic: None, has_isbn: true, price };
        Product { held: 2, stock: 7, sold: 1, ..Product::new(details, 10, 300) }
    }

    /// Bytes of the first release, which every later one must read.
    #[rustfmt::skip]
    const FORMAT: &[u8] = &[
        1, 251, 44, 1, 251, 44, 1, // the format, version and incarnation 300
        3, 84, 195, 169, 1, 1, 65, 0, // title, author, no topic
        1, 251, 19, 5, 7, 2, 1, 10, // has an ISBN, price, stock, held, sold, received
    ];

    #[test]
    fn a_product_of_the_first_format_is_still_read_and_written() {
        assert_eq!(encode_product(&product()), FORMAT);
        assert_eq!(decode_product(FORMAT).unwrap(), product());
    }

    #[test]
    fn stock_that_does_not_add_up_is_refused() {
        let bytes = encode_product(&Product { sold: 2, ..product() });
        assert!(decode_product(&bytes).is_err());
    }
}
