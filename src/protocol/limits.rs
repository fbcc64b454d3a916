//! Limits of the messages between facade and shard.

/// The most commands or replies in one message.
pub const MAX_BATCH: usize = 256;
/// The size past which a message takes no further request, in bytes.
pub const MAX_REQUEST_BATCH_BYTES: usize = 1 << 20;
/// The size past which a message takes no further reply, in bytes.
pub const MAX_REPLY_BATCH_BYTES: usize = 256 << 10;
/// The longest reply that is made of one record, in bytes: a cart or an order of 1,000 lines.
pub const MAX_RECORD_REPLY_BYTES: usize = 512 << 10;
/// The longest message that a shard reads, in bytes: room for [`MAX_REQUEST_BATCH_BYTES`] and one more request. The
/// longest request holds 1,000 lines with ids of 128 bytes.
pub const MAX_REQUEST_MESSAGE_BYTES: usize = MAX_REQUEST_BATCH_BYTES + (256 << 10);
/// The longest message that a client reads, in bytes: room for [`MAX_REPLY_BATCH_BYTES`] and one more reply.
pub const MAX_REPLY_MESSAGE_BYTES: usize = 4 << 20;
/// The longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
