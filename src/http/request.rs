//! A request as handlers see it: method, headers, the whole body, and the segments of its path.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use warp::{Filter, Rejection};

use super::auth::Port;
use super::execution::{Executions, carries_id};
use super::media_type;
use super::metrics::Label;
use super::problem::Problem;
use crate::access::KnownKey;
use crate::domain::tag::{Condition, Tag};
use crate::error::{Invalid, Result};
use crate::json::object::JsonObject;
use crate::protocol::MAX_IDEMPOTENCY_KEY_BYTES;
use crate::protocol::{self, MAX_TAGS};
use crate::protocol::{Command, Idempotency, Request};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is known of a request as soon as its head has arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The time.
    pub time: Instant,
    /// The kind of port.
    pub port: Port,
    /// True when it needs a key, so that no cache may keep the answer.
    pub is_guarded: bool,
    /// True when its head has no header that asks for anything.
    pub is_plain: bool,
    /// The id that its answer carries.
    pub id: HeaderValue,
    /// Its key, where one is needed and a known one was given.
    pub key: Option<KnownKey>,
}

/// A request: as a whole, or its head alone, to find out whether that decides already.
#[derive(Debug)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body; empty while only the head is there.
    pub body: Bytes,
    /// When and how its head arrived.
    pub arrival: Arrival,
    /// The label, set by the endpoint that matches. An extension of the response would cost an allocation.
    label: OnceLock<Label>,
    /// The shard that is asked, where it is one.
    shard: OnceLock<usize>,
    /// While only the head is there: whether the body is wanted.
    head_only: Option<OnceLock<()>>,
}

impl HttpRequest {
    /// Makes a request that has arrived.
    pub fn new(arrival: Arrival, parts: Parts, body: Bytes) -> Self {
        let Parts { method, uri, headers, .. } = parts;
        let (label, shard, head_only) = (OnceLock::new(), OnceLock::new(), None);
        HttpRequest { method, uri, headers, body, arrival, label, shard, head_only }
    }

    /// Makes a request of which only the head has arrived.
    pub fn without_body(arrival: Arrival, parts: Parts) -> Self {
        HttpRequest { head_only: Some(OnceLock::new()), ..HttpRequest::new(arrival, parts, Bytes::new()) }
    }

    /// True when the head does not decide: an endpoint wants the body, which is still to come.
    pub fn is_body_wanted(&self) -> bool {
        self.head_only.as_ref().is_some_and(|wanted| wanted.get().is_some())
    }

    /// Ends a handler that has looked at the head of a write, and goes on only with the body.
    ///
    /// # Errors
    /// While only the head is there: 400 for a malformed header, else a problem that nobody sees.
    pub fn want_body(&self) -> std::result::Result<(), Problem> {
        let Some(wanted) = &self.head_only else { return Ok(()) };
        self.idempotency_key()?;
        self.write_condition()?;
        // It does not matter how often it is wanted.
        let _ = wanted.set(());
        Err(Invalid::new("body", "is still to come").into())
    }

    /// The id that the answer carries.
    pub fn id(&self) -> &HeaderValue {
        &self.arrival.id
    }

    /// Notes the endpoint that has matched.
    pub fn matched(&self, label: Label) {
        // Only one endpoint matches.
        let _ = self.label.set(label);
    }

    /// The label of the endpoint that matched.
    pub fn label(&self) -> Option<Label> {
        self.label.get().copied()
    }

    /// Notes the shard that is asked. Of several the first counts.
    pub fn asks(&self, shard: usize) {
        let _ = self.shard.set(shard);
    }

    /// The shard that was asked.
    pub fn shard(&self) -> Option<usize> {
        self.shard.get().copied()
    }

    /// A new execution id, if responses to this path carry one.
    pub fn execution_id(&self, executions: &Executions) -> Option<String> {
        (self.arrival.port == Port::Shop && carries_id(self.uri.path())).then(|| executions.next())
    }

    /// Reads the body's members, where JSON is required.
    ///
    /// # Errors
    /// 415 when it is not declared as JSON, 400 when it is not a JSON object.
    pub fn members(&self) -> std::result::Result<JsonObject<'_>, Problem> {
        if !media_type::is_json(&self.headers) {
            return Err(Problem::not_json());
        }
        self.want_body()?;
        Ok(JsonObject::parse(&self.body)?)
    }

    /// Reads the body's members where all of them are optional, so that an empty body means none.
    ///
    /// # Errors
    /// As [`HttpRequest::members`].
    pub fn optional_members(&self) -> std::result::Result<JsonObject<'_>, Problem> {
        let is_empty = self.body.is_empty() && self.head_only.is_none();
        if is_empty { Ok(JsonObject::default()) } else { self.members() }
    }

    /// True for a `PATCH` with a merge patch (RFC 7396), in which `null` removes a member.
    pub fn is_merge_patch(&self) -> bool {
        self.method == Method::PATCH && media_type::is_merge_patch(&self.headers)
    }

    /// Refuses `If-Match` where there is no record that it could be about.
    ///
    /// # Errors
    /// [`Invalid`] that names the header.
    pub fn refuse_if_match(&self) -> Result<(), Invalid> {
        match self.headers.contains_key(IF_MATCH) {
            true => Err(Invalid::new("If-Match", "has no meaning here: the request makes a new record")),
            false => Ok(()),
        }
    }

    /// Reads a parameter of the query and decodes it.
    ///
    /// # Errors
    /// 400 when it is given more than once.
    pub fn parameter(&self, name: &str) -> Result<Option<Cow<'_, str>>, Invalid> {
        let query = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        let mut values = query.filter(|(other, _)| other == name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Invalid::new(name.to_owned(), "must be given once"));
        }
        Ok(value.map(|(_, value)| value))
    }

    /// Reads a parameter of the query with a function.
    ///
    /// # Errors
    /// 400 when it is given more than once; the function's error.
    pub fn parameter_as<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        self.parameter(name)?.map(|text| read(&text)).transpose()
    }

    /// Makes the request of a command that writes, with the conditions of `Idempotency-Key`, `If-Match` and
    /// `If-None-Match`.
    ///
    /// # Errors
    /// [`Invalid`] that names the header.
    pub fn command(&self, command: Command) -> Result<Request, Invalid> {
        let idempotency =
            self.idempotency_key()?.map(|key| Idempotency { key, fingerprint: protocol::fingerprint(&command) });
        Ok(Request { idempotency, if_match: self.write_condition()?, ..Request::new(command) })
    }

    fn write_condition(&self) -> Result<Option<Condition>, Invalid> {
        let invalid = |what: &str| Err(Invalid::new("If-None-Match", what));
        match (self.condition(&IF_MATCH)?, self.condition(&IF_NONE_MATCH)?) {
            (if_match, None) => Ok(if_match),
            (None, Some(Condition::Any)) => Ok(Some(Condition::Absent)),
            (Some(_), Some(_)) => invalid("cannot be given together with If-Match"),
            (None, Some(_)) => invalid("must be * on a write"),
        }
    }

    /// True if `If-None-Match` says that the client has the representation with this tag.
    ///
    /// # Errors
    /// [`Invalid`] that names the header.
    pub fn has_current(&self, tag: Tag) -> Result<bool, Invalid> {
        let condition = self.condition(&IF_NONE_MATCH)?;
        Ok(condition.is_some_and(|condition| condition.matches(Some(tag))))
    }

    fn idempotency_key(&self) -> Result<Option<String>, Invalid> {
        if self.arrival.is_plain {
            return Ok(None);
        }
        let mut values = self.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let invalid = |what: &str| Err(Invalid::new("Idempotency-Key", what));
        if values.next().is_some() {
            return invalid("must be given once");
        }
        let bytes = value.as_bytes();
        let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
        if bytes.is_empty() || bytes.len() > MAX_IDEMPOTENCY_KEY_BYTES || !printable {
            return invalid("must be 1 to 255 printable ASCII characters");
        }
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Reads `If-Match` or `If-None-Match` (RFC 9110, section 13.1). A weak tag matches only in
    /// `If-None-Match`.
    fn condition(&self, name: &HeaderName) -> Result<Option<Condition>, Invalid> {
        if self.arrival.is_plain {
            return Ok(None);
        }
        let mut values = self.headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Ok(None);
        }
        let mut tags = Vec::new();
        let mut members = 0;
        for value in values {
            let text = value.to_str().map_err(|_| malformed(name))?;
            if text.trim() == "*" {
                return Ok(Some(Condition::Any));
            }
            let mut rest = text.trim_matches(LIST_SPACE);
            while !rest.is_empty() {
                let (weak, opaque, after) = split_tag(rest).ok_or_else(|| malformed(name))?;
                members += 1;
                if members > MAX_TAGS {
                    return Err(Invalid::new(name.to_string(), format!("more than {MAX_TAGS} tags")));
                }
                if !weak || *name == IF_NONE_MATCH {
                    tags.extend(Tag::parse(opaque));
                }
                rest = after;
            }
        }
        Ok(Some(Condition::OneOf(tags)))
    }
}

/// What may stand between the elements of a list: an empty element is skipped (RFC 9110, section 5.6.1).
const LIST_SPACE: [char; 3] = [',', ' ', '\t'];

fn malformed(name: &HeaderName) -> Invalid {
    Invalid::new(name.to_string(), "is neither * nor a list of quoted tags")
}

/// Splits the first tag off a list. Returns true if it is weak, its opaque part, and the rest of the list.
fn split_tag(list: &str) -> Option<(bool, &str, &str)> {
    let (weak, quoted) = match list.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, list),
    };
    let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    let rest = rest.trim_start();
    let after = match rest.strip_prefix(',') {
        Some(after) => after.trim_start_matches(LIST_SPACE),
        None if rest.is_empty() => rest,
        None => return None,
    };
    Some((weak, opaque, after))
}

/// A segment of a path, still percent-encoded.
#[derive(Debug, Clone)]
pub struct PathSegment {
    raw: String,
    /// Its name in the path's template.
    name: &'static str,
}

/// A filter that matches one segment of a path.
pub fn path_segment(name: &'static str) -> impl Filter<Extract = (PathSegment,), Error = Rejection> + Copy {
    warp::path::param().map(move |raw| PathSegment { raw, name })
}

impl PathSegment {
    /// Percent-decodes the segment; `+` stays a plus.
    ///
    /// # Errors
    /// [`Invalid`] that names the segment, for a broken escape or invalid UTF-8.
    pub fn decode(self) -> Result<String, Invalid> {
        let PathSegment { raw, name } = self;
        if !raw.contains('%') {
            return Ok(raw);
        }
        let escapes_are_whole = raw.split('%').skip(1).all(|part| {
            part.as_bytes().first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        if !escapes_are_whole {
            return Err(Invalid::new(name, "has a % without two hexadecimal digits"));
        }
        let decoded = percent_encoding::percent_decode_str(&raw).decode_utf8();
        decoded.map(Cow::into_owned).map_err(|_| Invalid::new(name, "is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: HeaderName, values: &[&str]) -> HttpRequest {
        let mut request = http::Request::builder();
        for value in values {
            request = request.header(name.clone(), *value);
        }
        let id = HeaderValue::from_static("id");
        let arrival =
            Arrival { time: Instant::now(), port: Port::Shop, is_guarded: false, is_plain: false, id, key: None };
        HttpRequest::new(arrival, request.body(()).unwrap().into_parts().0, Bytes::new())
    }

    fn if_match(values: &[&str]) -> Result<Option<Condition>, Invalid> {
        request(IF_MATCH, values).condition(&IF_MATCH)
    }

    #[test]
    fn conditions_are_lists_of_tags_or_a_star() {
        let of = |versions: &[u64]| Ok(Some(Condition::OneOf(versions.iter().map(|v| Tag::of_version(*v)).collect())));
        assert_eq!(if_match(&[]), Ok(None));
        assert_eq!(if_match(&["*"]), Ok(Some(Condition::Any)));
        assert_eq!(if_match(&["\"1\""]), of(&[1]));
        assert_eq!(if_match(&["\"1\" , \"2\"", "\"3\""]), of(&[1, 2, 3]));
        assert_eq!(if_match(&["W/\"1\", \"xyz\""]), of(&[]));
        assert_eq!(if_match(&[", ,\"1\",, \"2\" ,"]), of(&[1, 2]));
        for text in ["1", "\"1", "\"1\" \"2\"", "W/1", "\"1\"x"] {
            assert!(if_match(&[text]).is_err(), "{text}");
        }
        assert!(if_match(&[&"\"1\",".repeat(MAX_TAGS + 1)]).is_err());
        let weak = request(IF_NONE_MATCH, &["W/\"1\""]);
        assert!(weak.has_current(Tag::of_version(1)).unwrap());
    }

    #[test]
    fn an_idempotency_key_is_one_printable_text() {
        let key = |values: &[&str]| request(IDEMPOTENCY_KEY, values).idempotency_key();
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["a b"]), Ok(Some("a b".into())));
        assert!(key(&[&"x".repeat(255)]).is_ok());
        assert!(key(&["a", "a"]).is_err());
        assert!(key(&[""]).is_err());
        assert!(key(&["a\tb"]).is_err());
        assert!(key(&[&"x".repeat(256)]).is_err());
    }

    #[test]
    fn segments_are_decoded_once() {
        let decode = |raw: &str| PathSegment { raw: raw.into(), name: "id" }.decode();
        assert_eq!(decode("a%2Fb+%2B"), Ok("a/b++".into()));
        assert_eq!(decode("%2525"), Ok("%25".into()));
        assert_eq!(decode("Zo%C3%AB"), Ok("Zoë".into()));
        for raw in ["%", "%4", "%zz", "%ff", "a%C3"] {
            assert!(decode(raw).is_err(), "{raw}");
        }
    }
}
