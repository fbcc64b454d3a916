//! The effect of a command.

/// The effect of a command, which decides whether it may run twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It changes records, and running it twice has the effect of running it once.
    Idempotent,
    /// It may run once only, so that sending it again needs an idempotency key.
    Once,
}
