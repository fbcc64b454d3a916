//! JSON bodies, read strictly: no duplicate members at any depth, numbers taken as they are
//! written, and every complaint names its field.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// The most members of a body.
const MAX_MEMBERS: usize = 256;

/// The members of a JSON object; unknown ones are ignored.
#[derive(Debug)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not a JSON object, or has a member twice, at any depth.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Error::Invalid(format!("body: not UTF-8 from byte {} on", error.valid_up_to())))?;
        let members: Members = serde_json::from_str(text).map_err(|error| Error::Invalid(format!("body: {error}")))?;
        for (name, value) in &members.0 {
            if value.get().starts_with(['{', '[']) {
                let mut deserializer = serde_json::Deserializer::from_str(value.get());
                Strict.deserialize(&mut deserializer).map_err(|error| Error::Invalid(format!("{name}: {error}")))?;
            }
        }
        Ok(members)
    }

    /// A member that is there and not null.
    fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        Some(value.get()).filter(|text| *text != "null")
    }

    fn required(&self, name: &str) -> Result<&'a str> {
        self.get(name).ok_or_else(|| Error::Invalid(format!("{name}: is missing")))
    }

    /// A required amount of money: a number, or a string with a number.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the member.
    pub fn money(&self, name: &str) -> Result<Money> {
        let raw = self.required(name)?;
        let text = if raw.starts_with('"') { string(raw, name)? } else { Cow::Borrowed(raw) };
        Money::parse(&text).map_err(|error| Error::Invalid(format!("{name}: {error}")))
    }

    /// A required integer between two bounds, both included.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the member.
    pub fn count(&self, name: &str, least: u32, most: u32) -> Result<u32> {
        let raw = self.required(name)?;
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::Invalid(format!("{name}: is not an integer")));
        }
        let value = raw.parse::<u32>().ok().filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| Error::Invalid(format!("{name}: must be {least} to {most}")))
    }

    /// An optional boolean.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the member.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Error::Invalid(format!("{name}: is neither true nor false"))),
        }
    }

    /// An optional time.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the member.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        let time = Timestamp::parse(&string(raw, name)?);
        time.map(Some).map_err(|error| Error::Invalid(format!("{name}: {error}")))
    }
}

fn string<'a>(raw: &'a str, name: &str) -> Result<Cow<'a, str>> {
    let text: Text = serde_json::from_str(raw).map_err(|_| Error::Invalid(format!("{name}: is not a string")))?;
    Ok(text.0)
}

/// A string that is borrowed where it holds no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
                while let Some(Text(name)) = map.next_key()? {
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom(format!("member {name:?} is there twice")));
                    }
                    if members.len() >= MAX_MEMBERS {
                        return Err(A::Error::custom(format!("more than {MAX_MEMBERS} members")));
                    }
                    let value = map.next_value().map_err(|error| A::Error::custom(format!("{name}: {error}")))?;
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Any JSON whose objects have no member twice; its depth is bounded by serde_json's limit of 128.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(Text(name)) = map.next_key()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("member {name:?} is there twice")));
            }
            names.insert(name);
            map.next_value_seed(Strict)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while seq.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        IgnoredAny::deserialize(deserializer).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn detail(body: &str) -> String {
        Members::parse(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn members_are_read_as_they_are_written() {
        let body =
            br#"{"p": 12.10, "q": "12.10", "n": 7, "b": true, "t": "2026-11-23", "z": null, "\u0078": {"a": [1]}}"#;
        let members = Members::parse(body).unwrap();
        assert_eq!(members.money("p").unwrap().hundredths(), 1210);
        assert_eq!(members.money("q").unwrap().hundredths(), 1210);
        assert_eq!(members.count("n", 1, 10).unwrap(), 7);
        assert!(members.flag("b", false).unwrap());
        assert!(members.time("t").unwrap().is_some());
        assert!(members.flag("z", true).unwrap() && members.time("absent").unwrap().is_none());
        assert!(members.get("x").is_some());
    }

    #[test]
    fn every_complaint_names_its_field() {
        for (body, field) in [
            (r#"{"price": NaN}"#, "price"),
            (r#"{"price": 1, "price": 2}"#, "price"),
            (r#"{"x": {"deep": [{"a": 1, "a": 2}]}}"#, "x"),
            (r#"{"\u0061": 1, "a": 2}"#, "\"a\""),
            ("[1]", "body"),
            ("", "body"),
            ("{} {}", "body"),
            ("\u{feff}{}", "body"),
        ] {
            assert!(detail(body).contains(field), "{body}: {}", detail(body));
        }
        assert!(Members::parse(b"{\"a\xff\": 1}").unwrap_err().detail().starts_with("body: not UTF-8"));
        let deep = format!(r#"{{"x": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(detail(&deep).starts_with("x: "));
    }

    #[test]
    fn integers_are_integers() {
        for text in ["1.0", "1e0", "\"1\"", "true", "[]", "{}", "0", "11", "-1", "99999999999999999999", "-0"] {
            let body = format!(r#"{{"n": {text}}}"#);
            let error = Members::parse(body.as_bytes()).unwrap().count("n", 1, 10).unwrap_err();
            assert!(error.detail().starts_with("n: "), "{text}");
        }
        assert!(Members::parse(br#"{"n": null}"#).unwrap().count("n", 1, 10).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), text in r#"[\[\]{}":,a0-9.eE\\-]{0,60}"#) {
            for body in [&bytes[..], text.as_bytes()] {
                if let Ok(members) = Members::parse(body) {
                    let _ = (members.money("a"), members.count("a", 0, 9), members.flag("a", true), members.time("a"));
                }
            }
        }
    }
}
