//! Catalogs as a JSON array of objects, or as one JSON object on each line.

use std::fmt;
use std::io::{BufRead, ErrorKind};

use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::row::{Each, Row, at};
use super::row_limit::{Progress, RowLimit};
use crate::error::{Error, Result};
use crate::json::faults::Faults;
use crate::json::object::JsonObject;
use crate::json::product;

fn product(text: &[u8], line: u64) -> Result<Row> {
    let product =
        JsonObject::parse(text).and_then(|members| product::from_members(&members).map_err(Faults::into_first));
    Ok(Row { product: product.map_err(|invalid| at(line, invalid))?, line })
}

/// Reads one object from each line; empty lines are skipped.
pub fn read_lines(mut reader: RowLimit<impl BufRead>, each: &mut Each<'_>) -> Result<()> {
    let mut number = 0;
    loop {
        number += 1;
        let line = reader.read_line().map_err(|error| match error.kind() {
            ErrorKind::InvalidData => at(number, error),
            _ => Error::Internal(format!("cannot read the catalog: {error}")),
        })?;
        let Some(line) = line else { return Ok(()) };
        if !line.trim_ascii().is_empty() {
            each(product(line.trim_ascii(), number)?)?;
        }
    }
}

/// Reads an array, one object after the other.
pub fn read_array(reader: RowLimit<impl BufRead>, each: &mut Each<'_>) -> Result<()> {
    let progress = reader.bytes_read();
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let rows = Rows { each, failed: &mut failed, progress: progress.clone() };
    let read = deserializer.deserialize_seq(rows).and_then(|()| deserializer.end());
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if error.is_io() && error.io_error_kind() != Some(ErrorKind::InvalidData) => {
            Err(Error::Internal(format!("cannot read the catalog: {error}")))
        }
        (None, Err(error)) => Err(at(progress.lines() + 1, error)),
    }
}

struct Rows<'a, 'b> {
    each: &'a mut Each<'b>,
    failed: &'a mut Option<Error>,
    progress: Progress,
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while let Some(value) = seq.next_element::<Box<RawValue>>()? {
            let inside = value.get().bytes().filter(|byte| *byte == b'\n').count() as u64;
            let line = self.progress.lines() + 1 - inside;
            self.progress.next_row();
            let taken = product(value.get().as_bytes(), line).and_then(|row| (self.each)(row));
            if let Err(error) = taken {
                *self.failed = Some(error);
                return Err(A::Error::custom("a row was refused"));
            }
        }
        Ok(())
    }
}
