//! A request to a store, and what it means to send it twice.

use bytes::Bytes;
use reqwest::Method;

use super::idempotency_key::IdempotencyKey;
use crate::error::Invalid;
use crate::routing::url_segment;

/// The path of a request, and its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The path of these segments, which are encoded here.
    ///
    /// # Errors
    /// [`Invalid`] for a segment that no URL can have: nothing, `.` or `..`.
    pub fn of(segments: &[&str]) -> Result<Self, Invalid> {
        // URLs take `.` and `..`, also encoded, for steps between folders.
        match segments.iter().find(|segment| ["", ".", ".."].contains(segment)) {
            Some(segment) => Err(Invalid::general(format!("`{segment}` cannot be a part of a URL"))),
            None => Ok(Path(segments.iter().map(|segment| url_segment(segment)).collect::<Vec<_>>().join("/"))),
        }
    }

    /// The path of the store itself.
    pub fn root() -> Self {
        Path(String::new())
    }

    /// The path with one more parameter in its query.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(&form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish());
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What sending a request a second time does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Read,
    /// Its key makes the store apply it once.
    Keyed(IdempotencyKey),
    /// Its effect is the same however often it is applied.
    Repeatable,
    /// A second time may do something else than the first one.
    Once,
}

/// The media type of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyType {
    Json,
    Bytes,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: Path,
    pub(super) effect: Effect,
    pub(super) body: Option<(BodyType, Bytes)>,
}

impl Request {
    /// A read.
    pub fn get(path: Path) -> Self {
        Request { method: Method::GET, path, effect: Effect::Read, body: None }
    }

    /// A write that the store applies once for a key: of a cart, product, order or delivery.
    pub fn keyed(method: Method, path: Path, key: IdempotencyKey) -> Self {
        Request { method, path, effect: Effect::Keyed(key), body: None }
    }

    /// A write whose effect is the same however often it is applied, as storing a value under a key.
    pub fn repeatable(method: Method, path: Path) -> Self {
        Request { method, path, effect: Effect::Repeatable, body: None }
    }

    /// A write that is not sent again once it may have been applied.
    pub fn once(method: Method, path: Path) -> Self {
        Request { method, path, effect: Effect::Once, body: None }
    }

    /// The request with a JSON text as its body.
    #[must_use]
    pub fn with_json(mut self, json: impl Into<Bytes>) -> Self {
        self.body = Some((BodyType::Json, json.into()));
        self
    }

    /// The request with bytes as its body.
    #[must_use]
    pub fn with_bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Some((BodyType::Bytes, bytes.into()));
        self
    }

    pub(super) fn is_read(&self) -> bool {
        self.effect == Effect::Read
    }

    /// True when it may be sent again although it may have been applied.
    pub(super) fn is_repeatable(&self) -> bool {
        self.effect != Effect::Once
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_parameters_are_encoded() {
        let path = Path::of(&["items", "a/b ü"]).unwrap().with("status", "a&b").with("limit", "5");
        assert_eq!(path.as_str(), "items/a%2Fb%20%C3%BC?status=a%26b&limit=5");
        for segment in ["", ".", ".."] {
            assert!(Path::of(&["items", segment]).is_err(), "{segment:?}");
        }
    }
}
