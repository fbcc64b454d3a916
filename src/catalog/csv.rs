//! Catalogs as CSV (RFC 4180) with a header: `id` or `isbn`, `title`, `price`, `stock`, and optionally
//! `author` and `topic`, in any order. Other columns are ignored. An empty field counts as missing.

use std::io::{BufRead, ErrorKind};

use ::csv::{ErrorKind as CsvError, ReaderBuilder, StringRecord};

use super::csv_lines::LineNumbers;
use super::row::{Each, Row, at};
use super::row_limit::RowLimit;
use crate::domain::money::Money;
use crate::domain::product::{Details, MAX_STOCK, NewProduct};
use crate::error::{Error, Invalid, Result};
use crate::json::product;

const REQUIRED: [&str; 3] = ["title", "price", "stock"];

/// The positions of the columns.
struct Columns(Vec<String>);

impl Columns {
    fn of(header: &StringRecord, line: u64) -> Result<Self> {
        let names: Vec<_> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let known = ["id", "isbn", "author", "topic"].iter().chain(&REQUIRED);
        if let Some(twice) = known.copied().find(|name| names.iter().filter(|other| other == name).count() > 1) {
            return Err(at(line, format!("{twice}: the column occurs twice")));
        }
        let missing = REQUIRED.iter().find(|name| !names.iter().any(|other| other == *name));
        if let Some(missing) = missing {
            return Err(at(line, format!("{missing}: there is no such column in the header")));
        }
        Ok(Columns(names))
    }

    fn get(&self, record: &StringRecord, name: &str) -> Option<String> {
        let position = self.0.iter().position(|other| other == name)?;
        record.get(position).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn required(&self, record: &StringRecord, name: &'static str) -> Result<String, Invalid> {
        self.get(record, name).ok_or_else(|| Invalid::new(name, "is missing"))
    }

    fn product(&self, record: &StringRecord) -> Result<NewProduct, Invalid> {
        let (id, has_isbn) = product::id(self.get(record, "id"), self.get(record, "isbn"))?;
        let price = Money::parse(&self.required(record, "price")?);
        let details = Details {
            title: self.required(record, "title")?,
            author: self.get(record, "author"),
            topic: self.get(record, "topic"),
            has_isbn,
            price: price.map_err(|invalid| invalid.at("price"))?,
        };
        let stock = self.required(record, "stock")?;
        let digits = stock.bytes().all(|byte| byte.is_ascii_digit());
        let stock = stock.parse().ok().filter(|stock| digits && *stock <= MAX_STOCK);
        NewProduct::new(id, details, stock.ok_or_else(|| Invalid::new("stock", format!("must be 0 to {MAX_STOCK}")))?)
    }
}

/// Reads all rows.
pub fn read(reader: RowLimit<impl BufRead>, each: &mut Each<'_>) -> Result<()> {
    let progress = reader.bytes_read();
    let mut reader = ReaderBuilder::new().from_reader(LineNumbers::new(reader));
    let header = reader.headers().cloned();
    let line = reader.get_mut().line_from(0);
    let header = header.map_err(|error| explain(error, line, &[]))?;
    if header.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&header, line)?;
    let mut record = StringRecord::new();
    loop {
        progress.next_row();
        let from = reader.position().byte();
        let read = reader.read_record(&mut record);
        let line = reader.get_mut().line_from(from);
        if !read.map_err(|error| explain(error, line, &columns.0))? {
            return Ok(());
        }
        let product = columns.product(&record).map_err(|error| at(line, error))?;
        each(Row { product, line })?;
    }
}

fn explain(error: ::csv::Error, line: u64, columns: &[String]) -> Error {
    match error.kind() {
        CsvError::Io(error) if error.kind() == ErrorKind::InvalidData => at(line, error),
        CsvError::Io(error) => Error::Internal(format!("cannot read the catalog: {error}")),
        CsvError::Utf8 { err, .. } => {
            let column = columns.get(err.field()).map_or("the header", String::as_str);
            at(line, format!("{column}: is not UTF-8"))
        }
        CsvError::UnequalLengths { expected_len, len, .. } => {
            at(line, format!("has {len} fields, the header has {expected_len}"))
        }
        _ => at(line, "cannot be read as CSV"),
    }
}
