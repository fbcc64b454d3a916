//! Catalogs: the products that a new store begins with, either the built-in sample or a file in CSV, as a JSON
//! array, or with a JSON object on each line. A file is read as a stream; its first bad row refuses the whole.

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
