//! Checks what is inside of a member: no object with a member twice or with too many, and not too many levels. Values are
//! not parsed, so that it does not matter how deep a number or a string is that nobody reads.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memchr2;
use serde::Deserialize;

use crate::error::{Invalid, Result};

/// The most members of an object.
pub const MAX_MEMBERS: usize = 256;
/// The most levels of objects and lists in a body, which is the first one.
pub const MAX_DEPTH: usize = 128;

/// A string, borrowed from the body unless it has escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An object or a list that has not ended yet.
enum Level<'a> {
    Object { names: HashSet<Cow<'a, str>>, at: Cow<'a, str> },
    List { index: usize },
}

/// Checks the value of a member of a body. It must be well-formed JSON.
///
/// # Errors
/// [`Invalid`] that names what is at fault, as `items[2].price`.
pub fn check(member: &str, json: &str) -> Result<(), Invalid> {
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut place = 0;
    while let Some(byte) = json.as_bytes().get(place) {
        match byte {
            b'{' | b'[' if levels.len() + 1 >= MAX_DEPTH => {
                return Err(Invalid::new(member.to_owned(), format!("more than {MAX_DEPTH} levels")));
            }
            b'{' => levels.push(Level::Object { names: HashSet::new(), at: "".into() }),
            b'[' => levels.push(Level::List { index: 0 }),
            b'}' | b']' => _ = levels.pop(),
            b',' => {
                if let Some(Level::List { index }) = levels.last_mut() {
                    *index += 1;
                }
            }
            b'"' => {
                let string = &json[place..end_of_string(json, place)];
                place += string.len();
                if json[place..].trim_ascii_start().starts_with(':') {
                    note_name(&mut levels, member, string)?;
                }
                continue;
            }
            _ => {}
        }
        place += 1;
    }
    Ok(())
}

/// The place after a string that begins at `from`.
fn end_of_string(json: &str, from: usize) -> usize {
    let mut place = from + 1;
    while let Some(found) = json.as_bytes().get(place..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        place += found;
        match json.as_bytes()[place] {
            b'"' => return place + 1,
            _ => place += 2,
        }
    }
    json.len()
}

fn note_name<'a>(levels: &mut [Level<'a>], member: &str, quoted: &'a str) -> Result<(), Invalid> {
    let name = serde_json::from_str::<Text<'a>>(quoted);
    let Text(name) = name.map_err(|error| Invalid::new(path(member, levels), error))?;
    let Some(Level::Object { names, at }) = levels.last_mut() else { return Ok(()) };
    at.clone_from(&name);
    let reason = match names.insert(name) {
        false => "occurs twice".to_owned(),
        true if names.len() > MAX_MEMBERS => {
            at.to_mut().clear();
            format!("more than {MAX_MEMBERS} members")
        }
        true => return Ok(()),
    };
    Err(Invalid::new(path(member, levels), reason))
}

/// The path to the place that was reached.
fn path(member: &str, levels: &[Level<'_>]) -> String {
    let mut path = member.to_owned();
    for level in levels {
        match level {
            Level::Object { at, .. } if at.is_empty() => {}
            Level::Object { at, .. } => path.extend([".", at]),
            Level::List { index } => path.extend(["[", &index.to_string(), "]"]),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(json: &str) -> Option<String> {
        serde_json::from_str::<&serde_json::value::RawValue>(json).expect("well-formed JSON");
        check("x", json).err().map(|invalid| invalid.to_string())
    }

    #[test]
    fn what_is_at_fault_is_named_with_its_path() {
        for (json, named) in [
            (r#"{"a": 1, "\u0061": 2}"#, "x.a: occurs twice"),
            (r#"{"p": "}", "q": [{}, {"b": [0, "]\"\\", {"c": 1, "c": 2}]}]}"#, "x.q[1].b[2].c: occurs twice"),
            (r#"[{"a": "a", "b": "a"}, {"a" : 0, "a" : 0}]"#, "x[1].a: occurs twice"),
            (r#"[{"a": {"\ud800": 1}}]"#, "x[0].a: "),
        ] {
            assert!(fault(json).is_some_and(|fault| fault.starts_with(named)), "{json}: {:?}", fault(json));
        }
        for json in
            ["{}", r#"["a", "a"]"#, r#"[{"a": {"a": [{"a": 1e400}]}}, {"a": "\ud800"}]"#, r#""a:\\""#, "[1e400]"]
        {
            assert_eq!(fault(json), None, "{json}");
        }
    }

    #[test]
    fn objects_have_so_many_members_and_levels() {
        let members = |count| (0..count).map(|n| format!("\"{n}\": 0")).collect::<Vec<_>>().join(",");
        assert_eq!(fault(&format!("[{{{}}}]", members(MAX_MEMBERS))), None);
        assert_eq!(fault(&format!("[{{{}}}]", members(MAX_MEMBERS + 1))), Some("x[0]: more than 256 members".into()));
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(fault(&nested(MAX_DEPTH - 1)), None);
        assert_eq!(check("x", &nested(MAX_DEPTH)).unwrap_err().to_string(), "x: more than 128 levels");
    }

    fn json() -> impl Strategy<Value = String> {
        let string = || prop::sample::select(vec![r#""a""#, r#""b""#, r#""\"""#, r#""\\""#, r#"":{\"a\"""#]);
        let leaf = prop_oneof![string().prop_map(str::to_owned), Just("1".to_owned())];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let members = prop::collection::vec((string(), inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
                members.prop_map(|members| {
                    let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_member_is_found_twice_when_a_parser_drops_one(json in json()) {
            let parsed = serde_json::from_str::<serde_json::Value>(&json).unwrap();
            prop_assert_eq!(check("x", &json).is_ok(), parsed.to_string().len() == json.len(), "{}", json);
        }

        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{}":,a0\\ é]{0,60}"#) {
            let _ = check("x", &text);
        }
    }
}
