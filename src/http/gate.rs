//! The door: which requests come in. It reads the head alone, before anything else looks at a request.

use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::problem::Problem;
use crate::access::{Access, Denied, Port};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Lets a request in, without its key.
///
/// # Errors
/// 401 without a known key where one is wanted, also when there is more than one; 403 for one that may
/// not do this.
pub fn admit(access: &Access, port: Port, parts: &mut Parts) -> Result<(), Problem> {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    let admitted = match access.wanted(port, parts.uri.path(), is_read) {
        None => Ok(()),
        Some(wants) => the_key(&parts.headers).and_then(|key| access.check(key, wants).map_err(problem)),
    };
    // No handler needs it, and what it has not it cannot show.
    parts.headers.remove(API_KEY);
    admitted
}

fn the_key(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let mut keys = headers.get_all(API_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key.as_bytes()),
        (None, _) => Err(Problem::unauthorized("X-API-Key: is missing")),
        (Some(_), Some(_)) => Err(Problem::unauthorized("X-API-Key: is there more than once")),
    }
}

fn problem(denied: Denied) -> Problem {
    match denied {
        Denied::Unknown => Problem::unauthorized("X-API-Key: is not known"),
        Denied::Forbidden { has, wants } => {
            Problem::forbidden(format!("X-API-Key: its role is {has}, this wants {wants}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Settings;
    use http::{Request, StatusCode};

    #[test]
    fn a_key_is_wanted_once_and_goes_no_further() {
        let access = Access::open(&Settings::default(), []).unwrap();
        let admit = |path: &str, keys: &[&str]| {
            let mut request = Request::builder().uri(path);
            for key in keys {
                request = request.header(API_KEY, *key);
            }
            let mut parts = request.body(()).unwrap().into_parts().0;
            let admitted = super::admit(&access, Port::Shop, &mut parts);
            assert!(!parts.headers.contains_key(API_KEY));
            admitted.map_err(|problem| problem.status)
        };
        assert_eq!(admit("/api/books", &["secret123"]), Ok(()));
        for keys in [&[][..], &[""], &["other"], &["secret123", "secret123"], &["secret123", "other"]] {
            assert_eq!(admit("/api/books", keys), Err(StatusCode::UNAUTHORIZED), "{keys:?}");
            assert_eq!(admit("/items/alice", keys), Ok(()));
        }
    }
}
