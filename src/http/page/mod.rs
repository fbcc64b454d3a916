//! The pages for people: the status at `/` and the shop front at `/shop`. Their files are in the binary, and need nothing
//! from another host and no build step.
//!
//! `assets/` has two static shells (`status.html`, `shop.html`), a style sheet for each and one for both, and ES modules.
//! A module is a custom element or what several of them need; each says in its first lines why it exists. All data comes
//! from the store's own API. [`files`] lists what is served, and a test compares the list with the folder.

mod files;
mod respond;

pub use files::{SHOP, STATUS, find};
pub use respond::respond;
