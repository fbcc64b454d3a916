//! Limits of the messages between facade and shard.

/// The most commands or replies in one message.
pub const MAX_BATCH: usize = 256;
/// A message is cut after the reply that brings it past this many bytes.
pub const MAX_REPLY_BATCH_BYTES: usize = 256 << 10;
/// The longest message that is read, in bytes: [`MAX_REPLY_BATCH_BYTES`] and one largest cart fit.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
