//! Limits of the messages between facade and shard.

/// The most commands or replies in one message.
pub const MAX_BATCH: usize = 256;
/// The size past which a message takes no further request, in bytes.
pub const MAX_REQUEST_BATCH_BYTES: usize = 1 << 20;
/// The size past which a message takes no further reply, in bytes.
pub const MAX_REPLY_BATCH_BYTES: usize = 256 << 10;
/// The longest message that is read, in bytes: room for [`MAX_REPLY_BATCH_BYTES`] and one more reply.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
