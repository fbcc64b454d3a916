//! Ids of records that have no id of their own: digests of their owner and purpose.

use sha2::{Digest, Sha256};

use super::record::RecordKind;

const DIGEST_BYTES: usize = 16;

/// The id of an idempotency record, a reservation or a settlement: 128 bits of SHA-256 over its owner and its
/// purpose. An attacker needs about 2^64 tries to make two ids collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DigestId(pub [u8; DIGEST_BYTES]);

impl DigestId {
    /// The id for a purpose in the scope of an owner, which is a kind of record and an id.
    pub fn new(owner: RecordKind, owner_id: &[u8], purpose: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update([owner as u8]);
        digest.update((owner_id.len() as u32).to_be_bytes());
        digest.update(owner_id);
        digest.update(purpose);
        let digest = digest.finalize();
        let mut id = [0; DIGEST_BYTES];
        id.copy_from_slice(&digest[..DIGEST_BYTES]);
        DigestId(id)
    }

    /// The hash for an in-memory table.
    pub fn table_hash(self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_do_not_meet() {
        let id = DigestId::new(RecordKind::Cart, b"ab", b"c");
        assert_ne!(id, DigestId::new(RecordKind::Cart, b"a", b"bc"));
        assert_ne!(id, DigestId::new(RecordKind::Kv, b"ab", b"c"));
    }
}
