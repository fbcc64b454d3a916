//! Counts what was removed because it was old or too much.

use std::sync::atomic::AtomicU64;

/// What was removed since the start.
#[derive(Debug, Default)]
pub struct Removals {
    /// Carts that were not touched for long.
    pub carts: AtomicU64,
    /// Orders that were refused long ago, or the oldest of too many.
    pub orders: AtomicU64,
}
