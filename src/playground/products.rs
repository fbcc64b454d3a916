//! The products that shoppers buy. They are theirs alone: what somebody else buys would look like drift. Without a topic,
//! they are not in the shop front.

/// The number of products.
pub const PRODUCTS: usize = 48;
/// Products that are nearly always sold out, so that shoppers race for the last copy: the first ones.
const SCARCE: usize = 4;

/// The price of every product in the catalog, as JSON.
pub const PRICE: &str = "9.90";

/// The id of a product.
pub fn id(product: usize) -> String {
    format!("sim-product-{product}")
}

/// The product with an id.
pub fn number(id: &str) -> Option<usize> {
    id.strip_prefix("sim-product-")?.parse().ok().filter(|number| *number < PRODUCTS)
}

/// The stock that a product begins with.
pub fn first_stock(product: usize) -> u64 {
    replenishment(product)
}

/// The number of copies that are brought in at a time.
pub fn replenishment(product: usize) -> u64 {
    if product < SCARCE { 5 } else { 1_000 }
}

/// True when a product with this stock needs more.
pub fn is_low(product: usize, stock: u64) -> bool {
    stock <= if product < SCARCE { 0 } else { 200 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_found_by_its_id() {
        assert!((0..PRODUCTS).all(|product| number(&id(product)) == Some(product)));
        for other in ["", "1", "sim-product-", "sim-product-x", &id(PRODUCTS)] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
