//! Strict reading of JSON objects in request bodies and catalogs: no duplicate members at any depth, numbers exactly
//! as written, and a field's name in every error.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::nested::{self, MAX_MEMBERS, Text};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Invalid, Result};

/// The members of a JSON object; unknown ones are ignored.
#[derive(Debug, Default)]
pub struct JsonObject<'a> {
    members: Members<'a>,
    /// The path to the object, as `items[2].`; empty for the body itself.
    at: String,
}

impl<'a> JsonObject<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Invalid`] when it is not a JSON object; when an object has a member twice or more than 256 members, or there
    /// are more than 128 levels, at any depth. All else in members that nobody reads is ignored.
    pub fn parse(body: &'a [u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Invalid::new("body", format!("not UTF-8 from byte {} on", error.valid_up_to())))?;
        let members = read(text)?;
        for (name, value) in &members {
            if value.get().starts_with(['{', '[']) {
                nested::check(name, value.get())?;
            }
        }
        Ok(JsonObject { members, at: String::new() })
    }

    /// A member that is present and not null.
    fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.members.iter().find(|(other, _)| other == name)?;
        Some(value.get()).filter(|text| *text != "null")
    }

    /// True for a member that is present and null.
    pub fn is_null(&self, name: &str) -> bool {
        self.members.iter().any(|(other, value)| other == name && value.get() == "null")
    }

    fn required(&self, name: &str) -> Result<&'a str, Invalid> {
        self.get(name).ok_or_else(|| self.missing(name))
    }

    /// The error for a malformed member.
    pub fn invalid(&self, name: &str, reason: impl Display) -> Invalid {
        self.named(name, Invalid::general(reason))
    }

    /// The error for a required member that is absent.
    pub fn missing(&self, name: &str) -> Invalid {
        Invalid::missing(format!("{}{name}", self.at))
    }

    /// The same error under the name of a member, with its path.
    pub fn named(&self, name: &str, invalid: Invalid) -> Invalid {
        invalid.at(format!("{}{name}", self.at))
    }

    /// A required amount of money: a number, or a string with a number.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn money(&self, name: &str) -> Result<Money, Invalid> {
        let raw = self.required(name)?;
        let text = if raw.starts_with('"') { self.unquote(raw, name)? } else { Cow::Borrowed(raw) };
        Money::parse(&text).map_err(|invalid| self.named(name, invalid))
    }

    /// An optional amount of money.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn optional_money(&self, name: &str) -> Result<Option<Money>, Invalid> {
        self.get(name).map(|_| self.money(name)).transpose()
    }

    /// A required integer between two bounds, both included.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn u32_in(&self, name: &str, least: u32, most: u32) -> Result<u32, Invalid> {
        let raw = self.required(name)?;
        let value = self.integer(raw, name, u64::from(least), u64::from(most))?;
        u32::try_from(value).map_err(|_| self.invalid(name, "is too large"))
    }

    /// An optional integer from 0 to `most`.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn optional_u64(&self, name: &str, most: u64) -> Result<Option<u64>, Invalid> {
        self.get(name).map(|raw| self.integer(raw, name, 0, most)).transpose()
    }

    fn integer(&self, raw: &str, name: &str, least: u64, most: u64) -> Result<u64, Invalid> {
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.invalid(name, "is not an integer"));
        }
        let value = raw.parse::<u64>().ok().filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| self.invalid(name, format!("must be {least} to {most}")))
    }

    /// An optional string.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn optional_str(&self, name: &str) -> Result<Option<String>, Invalid> {
        let raw = self.get(name);
        raw.map(|raw| self.unquote(raw, name).map(Cow::into_owned)).transpose()
    }

    /// A required string.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn str(&self, name: &str) -> Result<String, Invalid> {
        self.required(name)?;
        Ok(self.optional_str(name)?.unwrap_or_default())
    }

    /// A required string, or an integer as a string.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn str_or_integer(&self, name: &str) -> Result<String, Invalid> {
        let raw = self.required(name)?;
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(raw.to_owned()),
            false => self.str(name),
        }
    }

    /// An optional object.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn object(&self, name: &str) -> Result<Option<JsonObject<'a>>, Invalid> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        // What else could be wrong with it was found when the body was read.
        let members = read(raw).map_err(|_| self.invalid(name, "is not an object"))?;
        Ok(Some(JsonObject { at: format!("{}{name}.", self.at), members }))
    }

    /// A required list of 1 to `most` objects.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn objects(&self, name: &str, most: usize) -> Result<Vec<JsonObject<'a>>, Invalid> {
        let raw = self.required(name)?;
        let values: Vec<&RawValue> = serde_json::from_str(raw).map_err(|_| self.invalid(name, "is not a list"))?;
        if values.is_empty() || values.len() > most {
            return Err(self.invalid(name, format!("must have 1 to {most} entries")));
        }
        let objects = values.into_iter().enumerate().map(|(index, value)| {
            let entry = format!("{name}[{index}]");
            let members = read(value.get()).map_err(|_| self.invalid(&entry, "is not an object"))?;
            Ok(JsonObject { at: format!("{}{entry}.", self.at), members })
        });
        objects.collect()
    }

    fn unquote(&self, raw: &'a str, name: &str) -> Result<Cow<'a, str>, Invalid> {
        let text: Text = serde_json::from_str(raw).map_err(|_| self.invalid(name, "is not a string"))?;
        Ok(text.0)
    }

    /// An optional boolean.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn bool(&self, name: &str, default: bool) -> Result<bool, Invalid> {
        match self.get(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.invalid(name, "is neither true nor false")),
        }
    }

    /// An optional time.
    ///
    /// # Errors
    /// [`Invalid`] that names the member.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Invalid> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        let time = Timestamp::parse(&self.unquote(raw, name)?);
        time.map(Some).map_err(|invalid| self.named(name, invalid))
    }
}

/// The members of an object, in their order.
type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Reads the members of an object, but not what is inside of them.
fn read(text: &str) -> Result<Members<'_>, Invalid> {
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Object { fault: &mut fault });
    let members = members.and_then(|members| deserializer.end().map(|()| members));
    members.map_err(|error| fault.unwrap_or_else(|| Invalid::new("body", error)))
}

/// Reads one object. Errors of serde are text, so that which member is at fault is noted beside them.
struct Object<'f> {
    fault: &'f mut Option<Invalid>,
}

impl Object<'_> {
    fn refuse<E: serde::de::Error>(self, fault: Invalid) -> E {
        *self.fault = Some(fault);
        E::custom("a member was refused")
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<'de>, A::Error> {
        let mut members: Members<'de> = Vec::with_capacity(8);
        while let Some(Text(name)) = map.next_key()? {
            if members.iter().any(|(other, _)| *other == name) {
                return Err(self.refuse(Invalid::new(name.into_owned(), "occurs twice")));
            }
            if members.len() >= MAX_MEMBERS {
                return Err(self.refuse(Invalid::new("body", format!("more than {MAX_MEMBERS} members"))));
            }
            let value = map.next_value().map_err(|error| A::Error::custom(format!("{name}: {error}")))?;
            members.push((name, value));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn detail(body: &str) -> String {
        JsonObject::parse(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn members_are_read_as_they_are_written() {
        let body =
            br#"{"p": 12.10, "q": "12.10", "n": 7, "b": true, "t": "2026-11-23", "z": null, "\u0078": {"a": [1]}}"#;
        let members = JsonObject::parse(body).unwrap();
        assert_eq!(members.money("p").unwrap().hundredths(), 1210);
        assert_eq!(members.money("q").unwrap().hundredths(), 1210);
        assert_eq!(members.u32_in("n", 1, 10).unwrap(), 7);
        assert!(members.bool("b", false).unwrap());
        assert!(members.time("t").unwrap().is_some());
        assert!(members.bool("z", true).unwrap() && members.time("absent").unwrap().is_none());
        assert!(members.get("x").is_some());
    }

    #[test]
    fn every_error_names_its_field() {
        for (body, field) in [
            (r#"{"price": NaN}"#, "price"),
            (r#"{"price": 1, "price": 2}"#, "price: occurs twice"),
            (r#"{"x": {"deep": [{"a": 1, "a": 2}]}}"#, "x.deep[0].a: occurs twice"),
            (r#"{"\u0061": 1, "a": 2}"#, "a: occurs twice"),
            ("[1]", "body"),
            ("", "body"),
            ("{} {}", "body"),
            ("\u{feff}{}", "body"),
        ] {
            assert!(detail(body).contains(field), "{body}: {}", detail(body));
        }
        assert!(JsonObject::parse(b"{\"a\xff\": 1}").unwrap_err().to_string().starts_with("body: not UTF-8"));
        let deep = format!(r#"{{"x": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(detail(&deep).starts_with("x: "));
    }

    /// What nobody reads is judged alike wherever it is.
    #[test]
    fn unknown_members_are_treated_alike_in_every_place() {
        let places = [
            ("{@}", 1, "body"),
            (r#"{"x": {@}}"#, 2, "x"),
            (r#"{"x": [[{@}]]}"#, 4, "x[0][0]"),
            (r#"{"payment": {@}}"#, 2, "payment"),
            (r#"{"items": [{}, {@}]}"#, 3, "items[1]"),
        ];
        let many = |count| (0..count).map(|n| format!("\"m{n}\": 0")).collect::<Vec<_>>().join(",");
        let deep = |levels| format!("\"m\": {}{}", "[".repeat(levels), "]".repeat(levels));
        for (place, levels, name) in places {
            let read = |members: &str| {
                let body = place.replace('@', members);
                let body = JsonObject::parse(body.as_bytes()).map_err(|fault| fault.to_string())?;
                body.object("payment").map_err(|fault| fault.to_string())?;
                Ok::<_, String>(())
            };
            for fine in ["\"m\": 1e400", "\"m\": [1e400]", "\"m\": \"\\ud800\"", &many(256), &deep(128 - levels)] {
                assert_eq!(read(fine), Ok(()), "{place} {fine}");
            }
            assert_eq!(read(&many(257)), Err(format!("{name}: more than 256 members")), "{place}");
            assert!(read(&deep(129 - levels)).is_err_and(|fault| fault.ends_with(": more than 128 levels")), "{place}");
            assert!(read("\"m\": 1, \"m\": 2").is_err_and(|fault| fault.ends_with("m: occurs twice")), "{place}");
        }
    }

    #[test]
    fn integers_are_integers() {
        for text in ["1.0", "1e0", "\"1\"", "true", "[]", "{}", "0", "11", "-1", "99999999999999999999", "-0"] {
            let body = format!(r#"{{"n": {text}}}"#);
            let error = JsonObject::parse(body.as_bytes()).unwrap().u32_in("n", 1, 10).unwrap_err();
            assert!(error.to_string().starts_with("n: "), "{text}");
        }
        assert!(JsonObject::parse(br#"{"n": null}"#).unwrap().u32_in("n", 1, 10).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), text in r#"[\[\]{}":,a0-9.eE\\-]{0,60}"#) {
            for body in [&bytes[..], text.as_bytes()] {
                if let Ok(members) = JsonObject::parse(body) {
                    let _ = (members.money("a"), members.u32_in("a", 0, 9), members.bool("a", true), members.time("a"));
                }
            }
        }
    }
}
