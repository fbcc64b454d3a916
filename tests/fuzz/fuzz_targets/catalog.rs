//! Fuzzes catalog files in every form: products that are read are written as lines and read back unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::catalog::read_from;
use shardcart::json::product;

fuzz_target!(|bytes: &[u8]| {
    for extension in [None, Some("csv"), Some("json")] {
        let (mut products, mut lines) = (Vec::new(), String::new());
        let read = read_from("fuzz", extension, bytes, |product, _| {
            lines.push_str(&product::to_line(&product));
            products.push(product);
            Ok(())
        });
        let mut again = products.into_iter();
        let reread = read_from("again", Some("jsonl"), lines.as_bytes(), |product, _| {
            assert_eq!(Some(product), again.next());
            Ok(())
        });
        let count = reread.expect("what was written can be read").products;
        assert!(read.is_err() || read.is_ok_and(|contents| contents.products == count));
    }
});
