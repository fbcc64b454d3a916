//! The description of the API: the OpenAPI document, and Swagger UI, which shows it.
//!
//! The document is written by hand, because handlers write the responses of the hot path as bytes, so that there are
//! no types to derive it from. Tests compare it with the router and with real responses.
//!
//! - `document.yaml` is its head. The build sets the package's version in it.
//! - `paths/` has one file for each group of handlers. Each file is an OpenAPI document of its own, so
//!   that editors and linters understand it; the build takes its `paths`.
//! - `components/` has one file for each section of the components. Paths refer to
//!   `../components/schemas.yaml#/Cart`, which becomes `#/components/schemas/Cart`.

mod compressed;
mod docs;
mod document;

pub use compressed::compressed;
pub use docs::{docs, to_docs};
pub use document::{json, yaml};
