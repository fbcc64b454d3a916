//! Rows of catalog files, and errors that name their line.

use std::fmt;

use crate::domain::product::NewProduct;
use crate::error::{Error, Invalid, Result};

/// A product of a catalog and its line.
pub struct Row {
    /// The product.
    pub product: NewProduct,
    /// The line in the file, counted from 1.
    pub line: u64,
}

/// Receives the rows of a file one by one.
pub type Each<'a> = dyn FnMut(Row) -> Result<()> + 'a;

/// An error in a line. The reader prefixes the file's name.
pub fn at(line: u64, what: impl fmt::Display) -> Error {
    Error::Invalid(Invalid::general(format!("{line}: {what}")))
}
