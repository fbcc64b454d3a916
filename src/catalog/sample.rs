//! The built-in sample catalog.

use crate::domain::money::Money;
use crate::domain::product::{Details, NewProduct};
use crate::routing::ProductId;

const SYSTEMS: &str = "distributed systems";
const SCHOOL: &str = "undergraduate school";
const FICTION: &str = "fiction";
const ALGORITHMS: &str = "algorithms";

/// Id, title, author, topic, price in hundredths, stock; those with an author are books with an ISBN.
type Row = (&'static str, &'static str, Option<&'static str>, &'static str, u64, u64);

const ROWS: [Row; 11] = [
    ("1", "How to get a good grade in distributed systems in 40 minutes a day", None, SYSTEMS, 1_500, 10),
    ("2", "RPCs for Noobs", None, SYSTEMS, 2_000, 10),
    ("3", "Xen and the Art of Surviving Undergraduate School", None, SCHOOL, 1_250, 10),
    ("4", "Cooking for the Impatient Undergrad", None, SCHOOL, 999, 10),
    ("5", "How to finish Project 3 on time", None, SYSTEMS, 1_750, 10),
    ("6", "Why theory classes are so hard", None, SCHOOL, 850, 10),
    ("7", "A queueing theory primer", None, SYSTEMS, 2_495, 10),
    ("8", "Spring in the Pioneer Valley", None, SCHOOL, 1_100, 10),
    ("9780143127550", "The Martian", Some("Andy Weir"), FICTION, 1_299, 10),
    ("9780262033848", "Introduction to Algorithms", Some("Cormen et al."), ALGORITHMS, 8_999, 3),
    ("9780140449136", "The Odyssey", Some("Homer"), FICTION, 950, 25),
];

/// The sample catalog.
pub fn sample() -> Vec<NewProduct> {
    let product = |(id, title, author, topic, price, stock): Row| NewProduct {
        id: ProductId::from_stored(id),
        details: Details {
            title: title.to_owned(),
            author: author.map(str::to_owned),
            topic: Some(topic.to_owned()),
            has_isbn: author.is_some(),
            price: Money::from_hundredths(price).unwrap_or_default(),
        },
        stock,
    };
    ROWS.into_iter().map(product).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_product_is_valid() {
        for product in sample() {
            assert_eq!(
                NewProduct::new(product.id.clone(), product.details.clone(), product.stock),
                Ok(product.clone())
            );
            assert!(product.details.price > Money::default());
        }
    }
}
