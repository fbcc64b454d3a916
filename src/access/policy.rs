//! Which requests want a key, and of which role: pure.

use super::Role;

/// Which of the facade's two kinds of ports a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The shop's.
    Shop,
    /// The key-value port, whose paths are keys: any first segment may be there.
    KeyValue,
}

/// What is wanted beside the API's own key.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Every path wants a key, but for those that load balancers ask.
    pub require_key: bool,
    /// Every write wants a key.
    pub guard_writes: bool,
}

impl Policy {
    /// The role that a request wants, if any.
    pub fn wanted(self, port: Port, path: &str, is_read: bool) -> Option<Role> {
        let is_guarded = (self.guard_writes && !is_read)
            || (self.require_key && !(port == Port::Shop && is_probe(path)))
            || (port == Port::Shop && is_api(path));
        is_guarded.then_some(if is_read { Role::Read } else { Role::Write })
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path.strip_suffix('/').unwrap_or(path), "/livez" | "/readyz")
}

fn is_api(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Port::{KeyValue, Shop};

    const OPEN: Policy = Policy { require_key: false, guard_writes: false };

    fn check(policy: Policy, cases: &[(Port, &str, Option<Role>, Option<Role>)]) {
        for (port, path, read, write) in cases {
            assert_eq!(policy.wanted(*port, path, true), *read, "read {path} on {port:?}");
            assert_eq!(policy.wanted(*port, path, false), *write, "write {path} on {port:?}");
        }
    }

    #[test]
    fn only_the_api_wants_a_key_by_itself() {
        let (read, write) = (Some(Role::Read), Some(Role::Write));
        check(
            OPEN,
            &[
                (Shop, "/api", read, write),
                (Shop, "/api/", read, write),
                (Shop, "/api/books", read, write),
                (Shop, "/apis", None, None),
                (Shop, "//api/books", None, None),
                (Shop, "/items/api", None, None),
                (Shop, "/livez", None, None),
                (Shop, "*", None, None),
                (KeyValue, "/api", None, None),
            ],
        );
    }

    #[test]
    fn every_path_wants_a_key_where_it_is_required_but_for_probes() {
        let (read, write) = (Some(Role::Read), Some(Role::Write));
        check(
            Policy { require_key: true, ..OPEN },
            &[
                (Shop, "/livez", None, None),
                (Shop, "/readyz/", None, None),
                (Shop, "/livez/more", read, write),
                (Shop, "/metrics", read, write),
                (Shop, "/items/alice", read, write),
                (Shop, "*", read, write),
                (KeyValue, "/livez", read, write),
                (KeyValue, "/key", read, write),
            ],
        );
    }

    #[test]
    fn every_write_wants_a_key_where_others_can_connect() {
        check(
            Policy { guard_writes: true, ..OPEN },
            &[
                (Shop, "/items/alice", None, Some(Role::Write)),
                (Shop, "/livez", None, Some(Role::Write)),
                (Shop, "/api/books", Some(Role::Read), Some(Role::Write)),
                (KeyValue, "/key", None, Some(Role::Write)),
            ],
        );
    }
}
