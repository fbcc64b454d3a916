//! The valid API keys, by their digests.

use std::sync::Arc;

use subtle::ConditionallySelectable;

use super::key_file::KeyFile;
use super::role::Role;
use super::secret::{Digest, Secret};

/// What is known of a valid key, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// The id by which it is named in the file and in logs.
    pub id: Arc<str>,
    /// The role of its owner.
    pub role: Role,
}

/// All valid keys.
#[derive(Debug)]
pub struct KeySet {
    /// The key that is in no file; its role is `admin`.
    own: Option<(Digest, KnownKey)>,
    listed: Vec<(Digest, KnownKey)>,
    /// True while nobody knows whether the keys of the file are still in it, so that they do not work.
    is_suspended: bool,
}

impl KeySet {
    /// Makes a set of a key of the role `admin` with its id, and the keys of a file.
    pub fn new(own: Option<(Secret, &str)>, listed: Option<&KeyFile>) -> Self {
        let known = |(secret, id): (Secret, &str)| (secret.digest(), KnownKey { id: id.into(), role: Role::Admin });
        let mut keys = KeySet { own: own.map(known), listed: Vec::new(), is_suspended: false };
        if let Some(listed) = listed {
            keys.replace_listed(listed);
        }
        keys
    }

    /// Replaces the keys of the file.
    pub fn replace_listed(&mut self, listed: &KeyFile) {
        let known = |(digest, id, role): (_, &str, _)| (digest, KnownKey { id: id.into(), role });
        self.listed = listed.digests().map(known).collect();
    }

    /// Removes the keys of the file.
    pub fn remove_listed(&mut self) {
        self.listed.clear();
    }

    /// Removes these from the keys of the file. Returns the ids of those that were among them.
    pub fn remove_known(&mut self, keys: &[&str]) -> Vec<Arc<str>> {
        let digests: Vec<_> = keys.iter().map(|key| Digest::of(key.as_bytes())).collect();
        let is_known = |(digest, _): &mut (Digest, _)| digests.iter().any(|known| known.is(digest).into());
        self.listed.extract_if(.., is_known).map(|(_, key)| key.id).collect()
    }

    /// Lets the keys of the file work no more, or again. Returns what it was before.
    pub fn suspend_listed(&mut self, is_suspended: bool) -> bool {
        std::mem::replace(&mut self.is_suspended, is_suspended)
    }

    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.own.is_none() && self.listed.is_empty()
    }

    /// Finds a key. It is compared with every known key in constant time, so that the time taken reveals nothing.
    pub fn find(&self, key: &[u8]) -> Option<&KnownKey> {
        let digest = Digest::of(key);
        let mut found = u32::MAX;
        for (place, (known, _)) in (0..).zip(self.all()) {
            found.conditional_assign(&place, known.is(&digest));
        }
        self.all().nth(found as usize).map(|(_, key)| key)
    }

    fn all(&self) -> impl Iterator<Item = &(Digest, KnownKey)> {
        let listed = if self.is_suspended { &[][..] } else { &self.listed[..] };
        listed.iter().chain(&self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_role_and_others_have_none() {
        let own = Some((Secret::new("own").unwrap(), "id-own"));
        let mut keys = KeySet::new(own, None);
        assert!(!keys.is_empty() && KeySet::new(None, None).is_empty());
        keys.listed = [("r", Role::Read), ("w", Role::Write), ("a", Role::Admin), ("own", Role::Read)]
            .map(|(key, role)| (Digest::of(key.as_bytes()), KnownKey { id: format!("id-{key}").into(), role }))
            .into();
        for (key, id, role) in [
            ("r", "id-r", Role::Read),
            ("w", "id-w", Role::Write),
            ("a", "id-a", Role::Admin),
            ("own", "id-own", Role::Admin),
        ] {
            assert_eq!(keys.find(key.as_bytes()), Some(&KnownKey { id: id.into(), role }));
        }
        for key in ["", "R", "ow", "own ", "secret123"] {
            assert_eq!(keys.find(key.as_bytes()), None, "{key}");
        }
    }
}
