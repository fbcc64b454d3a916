//! API-key authentication, from the request head only: the role that each request needs, and the check of its key.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::head::accepts_html;
use super::problem::Problem;
use crate::access::{self, ApiKeys, KnownKey, Role, Settings};
use crate::error::Result;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The two kinds of ports of a facade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// A port of the shop.
    Shop,
    /// The key-value port, whose paths are keys, so that no first segment has a meaning.
    KeyValue,
}

/// The authentication of requests.
#[derive(Debug)]
pub struct Auth {
    policy: Policy,
    keys: Arc<ApiKeys>,
}

impl Auth {
    /// Reads the rules and keys of a facade that listens on these addresses, and follows the file of keys.
    ///
    /// # Errors
    /// [`crate::error::Error::Invalid`] when other machines can connect and no key is configured,
    /// [`crate::error::Error::Internal`] when the keys cannot be read or followed.
    pub fn open(settings: &Settings, listeners: impl Iterator<Item = SocketAddr> + Clone) -> Result<Self> {
        let is_exposed = access::exposed(listeners.clone()).is_some();
        let guard_writes = settings.guard_writes || (is_exposed && !settings.open_writes);
        let policy = Policy { require_key: settings.require_key, guard_writes };
        Ok(Auth { policy, keys: ApiKeys::open(settings, listeners)?.follow()? })
    }

    /// True while no key is configured, so that the development key works.
    pub fn has_development_key(&self) -> bool {
        self.keys.is_development()
    }

    /// The role that a request needs, if it needs a key.
    pub fn wanted(&self, port: Port, parts: &Parts) -> Option<Role> {
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let is_shell = port == Port::Shop && is_read && is_shell(parts);
        self.policy.wanted(port, parts.uri.path(), is_read).filter(|_| !is_shell)
    }

    /// Authenticates a request that needs this role, and removes the key from its head.
    pub fn authenticate(&self, wanted: Option<Role>, parts: &mut Parts) -> Authenticated {
        let authenticated = match wanted {
            None => Authenticated::default(),
            Some(wants) => self.check(&parts.headers, wants).unwrap_or_else(Authenticated::refused),
        };
        // Handlers do not need the key, and so can never show it.
        parts.headers.remove(API_KEY);
        authenticated
    }

    fn check(&self, headers: &HeaderMap, wants: Role) -> std::result::Result<Authenticated, Problem> {
        let key = self.keys.find(the_key(headers)?);
        let key = key.ok_or_else(|| Problem::unauthorized("X-API-Key: is not known"))?;
        let forbidden = || Problem::forbidden(format!("X-API-Key: its role is {}, this wants {wants}", key.role));
        let refusal = (key.role < wants).then(forbidden);
        Ok(Authenticated { key: Some(key), refusal })
    }
}

/// Whose request it is.
#[derive(Debug, Default)]
pub struct Authenticated {
    /// The key, where one is needed and a known one was given.
    pub key: Option<KnownKey>,
    /// The refusal: 401 where a key is needed and the request has not exactly one, or an unknown one; 403 when the key's
    /// role does not include the needed one.
    pub refusal: Option<Problem>,
}

impl Authenticated {
    fn refused(problem: Problem) -> Self {
        Authenticated { key: None, refusal: Some(problem) }
    }
}

/// The requests that need a key beside those to `/api`.
#[derive(Debug, Clone, Copy)]
struct Policy {
    /// True when every path needs a key, except the probes of load balancers.
    require_key: bool,
    /// True when every write needs a key.
    guard_writes: bool,
}

impl Policy {
    /// The role that a request needs, if any.
    fn wanted(self, port: Port, path: &str, is_read: bool) -> Option<Role> {
        let is_guarded = (self.guard_writes && !is_read)
            || (self.require_key && !(port == Port::Shop && is_probe(path)))
            || (port == Port::Shop && is_api(path));
        is_guarded.then_some(if is_read { Role::Read } else { Role::Write })
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path.strip_suffix('/').unwrap_or(path), "/livez" | "/readyz")
}

/// True for the pages and their files. They are the same in every store and have none of its data; a browser that opens
/// one cannot send a key, and the page asks for it.
fn is_shell(parts: &Parts) -> bool {
    let path = parts.uri.path();
    match path.strip_suffix('/').unwrap_or(path) {
        "" => accepts_html(&parts.headers),
        path => path == "/shop" || path.starts_with("/assets/"),
    }
}

fn is_api(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn the_key(headers: &HeaderMap) -> std::result::Result<&[u8], Problem> {
    let mut keys = headers.get_all(API_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key.as_bytes()),
        (None, _) => Err(Problem::unauthorized("X-API-Key: is missing")),
        (Some(_), Some(_)) => Err(Problem::unauthorized("X-API-Key: must be given once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Port::{KeyValue, Shop};
    use http::{Request, StatusCode};

    const OPEN: Policy = Policy { require_key: false, guard_writes: false };

    fn check(policy: Policy, cases: &[(Port, &str, Option<Role>, Option<Role>)]) {
        for (port, path, read, write) in cases {
            assert_eq!(policy.wanted(*port, path, true), *read, "read {path} on {port:?}");
            assert_eq!(policy.wanted(*port, path, false), *write, "write {path} on {port:?}");
        }
    }

    #[test]
    fn by_default_only_the_api_needs_a_key() {
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
    fn every_path_but_the_probes_needs_a_key_where_it_is_required() {
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
    fn every_write_needs_a_key_where_others_can_connect() {
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

    #[test]
    fn a_key_must_be_given_once_and_is_removed() {
        let auth = Auth::open(&Settings::default(), [].into_iter()).unwrap();
        let authenticate = |path: &str, keys: &[&str]| {
            let mut request = Request::builder().uri(path);
            for key in keys {
                request = request.header(API_KEY, *key);
            }
            let mut parts = request.body(()).unwrap().into_parts().0;
            let authenticated = auth.authenticate(auth.wanted(Port::Shop, &parts), &mut parts);
            assert!(!parts.headers.contains_key(API_KEY));
            authenticated.refusal.map(|problem| problem.status)
        };
        assert_eq!(authenticate("/api/books", &["secret123"]), None);
        for keys in [&[][..], &[""], &["other"], &["secret123", "secret123"], &["secret123", "other"]] {
            assert_eq!(authenticate("/api/books", keys), Some(StatusCode::UNAUTHORIZED), "{keys:?}");
            assert_eq!(authenticate("/items/alice", keys), None);
        }
    }
}
