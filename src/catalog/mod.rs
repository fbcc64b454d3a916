//! Catalog files: the products that a fresh store begins with, as CSV, a JSON array or a JSON object a
//! line. A file is read as a stream and refused as a whole at its first bad row.

mod checksum;
mod csv;
mod csv_lines;
mod duplicates;
mod json_rows;
mod reader;
mod row;
mod row_limit;
mod sample;

pub use checksum::Digest;
pub use reader::{Catalog, CatalogSummary, MAX_ROW_BYTES, MAX_ROWS, read, read_from};
pub use sample::sample;
