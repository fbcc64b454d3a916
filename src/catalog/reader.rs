//! Reads catalog files and picks the parser by the file's name and first byte.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::checksum::{Digest, HashingReader};
use super::duplicates::DuplicateIds;
use super::row::{Row, at};
use super::row_limit::RowLimit;
use super::{csv, json_rows};
use crate::domain::product::NewProduct;
use crate::error::{Error, Invalid, Result};

/// The longest row, in bytes: as the longest body of a request that creates a product.
pub const MAX_ROW_BYTES: u64 = 64 << 10;
/// The most rows of a file.
pub const MAX_ROWS: usize = 10_000_000;

/// The size of the read buffer, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The products of a new store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catalog {
    /// The built-in sample.
    Sample,
    /// No products.
    None,
    /// A file: CSV, a JSON array, or a JSON object on each line.
    File(PathBuf),
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Catalog::Sample => f.write_str("sample"),
            Catalog::None => f.write_str("none"),
            Catalog::File(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Catalog {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        Ok(match text {
            "sample" => Catalog::Sample,
            "none" => Catalog::None,
            path => Catalog::File(path.into()),
        })
    }
}

/// A summary of a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogSummary {
    /// The number of products.
    pub products: usize,
    /// SHA-256 of the file, to notice a change between two reads.
    pub digest: Digest,
}

/// Reads a catalog file. Calls `each` with each product and the number of bytes read so far.
///
/// # Errors
/// [`Error::Invalid`] for a bad row or a duplicate id, naming file, line and field, and for a pipe or a device,
/// which cannot be read twice; [`Error::Internal`] when the file cannot be read; the first error of `each`.
pub fn read(path: &Path, each: impl FnMut(NewProduct, u64) -> Result<()>) -> Result<CatalogSummary> {
    let fault = |error: std::io::Error| Error::Internal(format!("cannot read {}: {error}", path.display()));
    // The check comes before opening, because opening a pipe without a writer would block.
    if !path.metadata().map_err(fault)?.is_file() {
        return Err(Error::invalid(path.display().to_string(), "is no regular file, and it is read more than once"));
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    read_from(&name, extension(path).as_deref(), File::open(path).map_err(fault)?, each)
}

/// Reads a catalog as [`read`] does, from bytes. Errors begin with `name`.
///
/// # Errors
/// As for [`read`].
pub fn read_from(
    name: &str,
    extension: Option<&str>,
    input: impl Read,
    each: impl FnMut(NewProduct, u64) -> Result<()>,
) -> Result<CatalogSummary> {
    read_at_most(MAX_ROWS, name, extension, input, each)
}

fn read_at_most(
    most: usize,
    name: &str,
    extension: Option<&str>,
    input: impl Read,
    mut each: impl FnMut(NewProduct, u64) -> Result<()>,
) -> Result<CatalogSummary> {
    let fault = |error: std::io::Error| Error::Internal(format!("cannot read {name}: {error}"));
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, HashingReader::new(input));
    if reader.fill_buf().map_err(fault)?.starts_with(BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    let first = first_byte(&mut reader).map_err(fault)?;
    let guard = RowLimit::new(&mut reader, MAX_ROW_BYTES);
    let read = guard.bytes_read();
    let mut seen = DuplicateIds::default();
    let mut take = |row: Row| {
        if seen.len() >= most {
            return Err(at(row.line, format!("more than {most} rows")));
        }
        if let Some(before) = seen.put(&row.product.id, row.line) {
            return Err(at(row.line, format!("id: {} is in line {before} already", row.product.id.as_str())));
        }
        each(row.product, read.get())
    };
    let result = match (extension, first) {
        (Some("csv"), _) => csv::read(guard, &mut take),
        (Some("json" | "jsonl" | "ndjson"), _) | (_, Some(b'[' | b'{')) => match first {
            Some(b'[') => json_rows::read_array(guard, &mut take),
            _ => json_rows::read_lines(guard, &mut take),
        },
        _ => csv::read(guard, &mut take),
    };
    match result {
        Err(Error::Invalid(invalid)) => Err(Invalid::general(format!("{name}:{invalid}")).into()),
        Err(error) => Err(error),
        Ok(()) => Ok(CatalogSummary { products: seen.len(), digest: reader.get_ref().digest() }),
    }
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

/// The first byte in the buffer that is not blank. It is not consumed.
fn first_byte(reader: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    Ok(reader.fill_buf()?.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;
    use crate::domain::product::Details;
    use crate::json::product;
    use proptest::prelude::*;

    fn read_text(name: &str, text: &[u8]) -> Result<Vec<NewProduct>> {
        let mut products = Vec::new();
        read_from(name, extension(Path::new(name)).as_deref(), text, |product, _| {
            products.push(product);
            Ok(())
        })?;
        Ok(products)
    }

    fn complaint(name: &str, text: &str) -> String {
        match read_text(name, text.as_bytes()) {
            Err(Error::Invalid(invalid)) => invalid.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_has_so_many_rows() {
        let text = "id,title,price,stock\na,T,1,1\nb,T,1,1\n";
        let read = |most| read_at_most(most, "a.csv", Some("csv"), text.as_bytes(), |_, _| Ok(()));
        assert_eq!(read(2).unwrap().products, 2);
        assert!(read(1).is_err_and(|error| error.to_string().contains("3: more than 1 rows")), "{:?}", read(1));
    }

    #[test]
    fn all_forms_are_read_alike() {
        let csv = "title,price,stock,isbn,topic,id\r\n\"A, B\",9.5,3,978-1,,\r\nC,\"12.10\",0,,x,c\r\n";
        let first = r#"{"isbn": "978-1", "title": "A, B", "price": 9.5, "stock": 3, "extra": {}}"#;
        let second = r#"{"id": "c", "title": "C", "price": "12.10", "stock": 0, "topic": "x", "author": null}"#;
        let products = read_text("a.csv", csv.as_bytes()).unwrap();
        assert_eq!(products[0].id.as_str(), "978-1");
        assert_eq!(products[0].details.price.hundredths(), 950);
        assert_eq!(products[1].details, Details { has_isbn: false, ..products[1].details.clone() });
        assert_eq!(products[1].details.topic.as_deref(), Some("x"));
        for text in
            [format!("[{first},\n {second}]"), format!("{first}\n\n{second}\n"), format!("\u{feff}{first}\n{second}")]
        {
            assert_eq!(read_text("a.json", text.as_bytes()).unwrap(), products, "{text}");
            assert_eq!(read_text("a", text.as_bytes()).unwrap(), products, "{text}");
        }
        assert_eq!(read_text("a", csv.as_bytes()).unwrap(), products);
        for name in ["a.csv", "a.json", "a"] {
            assert!(read_text(name, b"").unwrap_or_default().is_empty());
        }
    }

    #[test]
    fn a_bad_row_is_named_by_line_and_field() {
        let good = r#"{"id": "a", "title": "T", "price": 1, "stock": 1}"#;
        let bad = r#"{"id": "b", "title": "T", "price": 0.001, "stock": 1}"#;
        assert_eq!(
            complaint("x.json", &format!("[{good},\n\n{bad}]")),
            "x.json:3: price: has more than 2 fraction digits"
        );
        assert_eq!(
            complaint("x.jsonl", &format!("{good}\n\n{bad}\n")),
            "x.jsonl:3: price: has more than 2 fraction digits"
        );
        let csv = "id,title,price,stock,note\na,T,1,1,\"two\nlines\"\nb,T,1,-1,\n";
        assert_eq!(complaint("x.csv", csv), "x.csv:4: stock: must be 0 to 1000000000");
        let csv = b"id,title,price,stock\na,\xff,1,1\n";
        assert_eq!(read_text("x.csv", csv).unwrap_err().detail(), "x.csv:2: title: is not UTF-8");
        let blank = "\n\nid,title,price,stock\n\na,T,1,1\n\n\nb,T,1,-1\n";
        for csv in [blank.to_owned(), blank.replace('\n', "\r\n"), blank.replace('\n', "\r")] {
            assert_eq!(complaint("x.csv", &csv), "x.csv:8: stock: must be 0 to 1000000000", "{csv:?}");
            assert!(complaint("x.csv", &csv.replace("b,T", "a,T").replace("-1", "1")).contains("line 5 already"));
            assert!(complaint("x.csv", &csv.replace(",-1", "")).starts_with("x.csv:8: has 3 fields"));
        }
        assert!(complaint("x.jsonl", &format!("{good}\n{good}")).ends_with("x.jsonl:2: id: a is in line 1 already"));
        assert!(complaint("x.jsonl", r#"{"id": "a", "id": "b"}"#).contains("x.jsonl:1: "));
        assert!(complaint("x.json", "[{}, 1").starts_with("x.json:1: "));
        assert!(complaint("x.csv", "id,price\na,1\n").starts_with("x.csv:1: title"));
        assert!(complaint("x.csv", "id,title,price,stock\na,T,1\n").starts_with("x.csv:2: "));
        assert!(complaint("x.csv", "id,title,price,stock,stock\n").starts_with("x.csv:1: stock"));
        let long = format!("[{{\"id\": \"{}\"}}]", "x".repeat(4 * MAX_ROW_BYTES as usize));
        for name in ["x.json", "x.jsonl", "x.csv"] {
            assert!(complaint(name, &long).contains("longer than"), "{name}");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_another_file_has_another_digest() {
        assert!(matches!(read(Path::new("/dev/null"), |_, _| Ok(())), Err(Error::Invalid(_))));
        let digest = |text: &str| read_from("x.csv", None, text.as_bytes(), |_, _| Ok(())).unwrap().digest;
        let header = "id,title,price,stock\n";
        assert_eq!(digest(header), digest(header));
        assert_ne!(digest(header), digest(&header.replace('\n', "\r\n")));
    }

    #[test]
    fn the_canonical_form_is_read_back() {
        let products: Vec<_> = sample();
        let text: String = products.iter().map(product::to_line).collect();
        assert_eq!(read_text("x.jsonl", text.as_bytes()).unwrap(), products);
    }

    /// Any valid products with distinct ids.
    fn products() -> impl Strategy<Value = Vec<NewProduct>> {
        let text = || "[a-zé,;'\"\\\\ \u{feff}]{1,12}";
        let rest = (prop::option::of(text()), prop::option::of(text()), 0..=crate::domain::money::MAX_HUNDREDTHS);
        let one = (text(), rest, 0..=crate::domain::product::MAX_STOCK, any::<bool>());
        prop::collection::vec(one, 0..8).prop_map(|all| {
            let make =
                |(at, (title, (author, topic, price), stock, has_isbn)): (usize, (String, (_, _, u64), u64, bool))| {
                    let id = if has_isbn { format!("978-{at}") } else { format!("{at} {title}") };
                    let price = crate::domain::money::Money::from_hundredths(price).unwrap();
                    let details = Details { title, author, topic, has_isbn, price };
                    NewProduct::new(crate::routing::ProductId::new(id).unwrap(), details, stock).unwrap()
                };
            all.into_iter().enumerate().map(make).collect()
        })
    }

    fn to_csv(products: &[NewProduct]) -> Vec<u8> {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["stock", "isbn", "id", "price", "topic", "author", "title"]).unwrap();
        for NewProduct { id, details, stock } in products {
            let (isbn, id) = if details.has_isbn { (id.as_str(), "") } else { ("", id.as_str()) };
            let (topic, author) = (details.topic.as_deref(), details.author.as_deref());
            let (price, stock) = (details.price.to_string(), stock.to_string());
            let (topic, author) = (topic.unwrap_or_default(), author.unwrap_or_default());
            writer.write_record([&stock, isbn, id, &price, topic, author, &details.title]).unwrap();
        }
        writer.into_inner().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(products in products()) {
            prop_assert_eq!(&read_text("x.csv", &to_csv(&products)).unwrap(), &products);
            let lines: Vec<_> = products.iter().map(product::to_line).collect();
            prop_assert_eq!(&read_text("x.jsonl", lines.concat().as_bytes()).unwrap(), &products);
            prop_assert_eq!(&read_text("x.json", format!("[{}]", lines.join(",")).as_bytes()).unwrap(), &products);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\[\]{}":,a0-9.\n\\-]{0,80}"#) {
            for name in ["x.csv", "x.json", "x.jsonl", "x"] {
                let _ = read_text(name, &bytes);
                let _ = read_text(name, text.as_bytes());
            }
        }
    }
}
