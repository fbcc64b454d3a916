//! The valid API keys, by their digests.

use subtle::ConditionallySelectable;

use super::key_file::KeyFile;
use super::role::Role;
use super::secret::{Digest, Secret};

/// The roles by their number less 1. Numbers are bytes, which can be selected without a branch; 0 is no role.
const ROLES: [Role; 3] = [Role::Read, Role::Write, Role::Admin];

/// All valid keys.
#[derive(Debug)]
pub struct KeySet {
    /// The key that is in no file; its role is `admin`.
    own: Option<Digest>,
    listed: Vec<(Digest, Role)>,
}

impl KeySet {
    /// Makes a set of a key of the role `admin` and the keys of a file.
    pub fn new(own: Option<Secret>, listed: Option<&KeyFile>) -> Self {
        let mut keys = KeySet { own: own.map(|secret| secret.digest()), listed: Vec::new() };
        if let Some(listed) = listed {
            keys.replace_listed(listed);
        }
        keys
    }

    /// Replaces the keys of the file.
    pub fn replace_listed(&mut self, listed: &KeyFile) {
        self.listed = listed.digests().collect();
    }

    /// Removes the keys of the file.
    pub fn remove_listed(&mut self) {
        self.listed.clear();
    }

    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.own.is_none() && self.listed.is_empty()
    }

    /// The role of a key; `None` for an unknown one. It is compared with every known key in constant time, so that the
    /// time taken reveals nothing.
    pub fn role_of(&self, key: &[u8]) -> Option<Role> {
        let digest = Digest::of(key);
        let own = self.own.iter().map(|own| (own, Role::Admin));
        let listed = self.listed.iter().map(|(digest, role)| (digest, *role));
        let mut found = 0;
        for (known, role) in listed.chain(own) {
            found.conditional_assign(&(role as u8 + 1), known.is(&digest));
        }
        ROLES.get(usize::from(found).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_roles_are_their_places() {
        assert!(ROLES.iter().enumerate().all(|(place, role)| *role as usize == place));
    }

    #[test]
    fn each_key_has_its_role_and_others_have_none() {
        let own = Some(Secret::new("own").unwrap());
        let mut keys = KeySet::new(own, None);
        assert!(!keys.is_empty() && KeySet::new(None, None).is_empty());
        keys.listed = [("r", Role::Read), ("w", Role::Write), ("a", Role::Admin), ("own", Role::Read)]
            .map(|(key, role)| (Digest::of(key.as_bytes()), role))
            .into();
        let roles = ["r", "w", "a", "own"].map(|key| keys.role_of(key.as_bytes()));
        assert_eq!(roles, [Role::Read, Role::Write, Role::Admin, Role::Admin].map(Some));
        for key in ["", "R", "ow", "own ", "secret123"] {
            assert_eq!(keys.role_of(key.as_bytes()), None, "{key}");
        }
    }
}
