//! The effect of a command: how often it may run.

/// The effect of a command, which decides whether it may run twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It changes records, but running it twice is the same as running it once.
    Idempotent,
    /// It may run once only. Sending it again needs an idempotency key.
    Once,
}
