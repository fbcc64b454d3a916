//! Entity tags (RFC 9110, section 8.8.3) and the conditions of `If-Match` and `If-None-Match`.

use std::fmt;

use crate::error::{Error, Result};

/// The entity tag of a record: its version and, for a cart, the number of expired sales. The end of a sale changes
/// a cart's representation without a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The record's version; 0 when there is no record.
    pub version: u64,
    /// The number of expired sales; it only grows while the version stays.
    pub expired: u32,
}

impl Tag {
    /// The tag of a record whose representation does not depend on the time.
    pub fn of_version(version: u64) -> Self {
        Tag { version, expired: 0 }
    }

    /// The tag in quotes, as headers have it.
    pub fn quoted(&self) -> String {
        let (mut version, mut expired) = (itoa::Buffer::new(), itoa::Buffer::new());
        let version = version.format(self.version);
        match self.expired {
            0 => ["\"", version, "\""].concat(),
            count => ["\"", version, ".", expired.format(count), "\""].concat(),
        }
    }

    /// Reads the opaque part of a tag; `None` for a tag that the store never makes.
    pub fn parse(opaque: &str) -> Option<Self> {
        let (version, expired) = match opaque.split_once('.') {
            Some((version, expired)) => (version, expired.parse().ok().filter(|count| *count > 0)?),
            None => (opaque, 0),
        };
        let tag = Tag { version: version.parse().ok()?, expired };
        (tag.to_string() == opaque).then_some(tag)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expired {
            0 => write!(f, "{}", self.version),
            expired => write!(f, "{}.{expired}", self.version),
        }
    }
}

/// The condition of an `If-Match` or `If-None-Match` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `*`: any existing record.
    Any,
    /// One of these tags. Tags that the store never makes match nothing and are left out.
    OneOf(Vec<Tag>),
    /// `*` of an `If-None-Match` on a write: no record. An absent cart, which has version 0, is none.
    Absent,
}

impl Condition {
    /// True when it matches the current tag, which is `None` when the record does not exist.
    pub fn matches(&self, current: Option<Tag>) -> bool {
        match (self, current) {
            (Condition::Absent, current) => current.is_none_or(|tag| tag.version == 0),
            (_, None) => false,
            (Condition::Any, Some(_)) => true,
            (Condition::OneOf(tags), Some(current)) => tags.contains(&current),
        }
    }

    /// Checks a request's condition, if it has one, against the current state.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] when it does not match.
    pub fn check(condition: Option<&Condition>, current: Option<Tag>) -> Result<()> {
        match condition {
            Some(Condition::Absent) if !Condition::Absent.matches(current) => {
                Err(Error::PreconditionFailed("If-None-Match: it exists already; nothing was applied".into()))
            }
            Some(condition) if !condition.matches(current) => Err(Error::PreconditionFailed(
                "If-Match: it does not match the current ETag; nothing was applied".into(),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_back_and_foreign_ones_are_not() {
        for tag in [Tag::of_version(0), Tag::of_version(u64::MAX), Tag { version: 7, expired: 2 }] {
            assert_eq!(Tag::parse(&tag.to_string()), Some(tag));
            assert_eq!(tag.quoted(), format!("\"{tag}\""));
        }
        for text in ["", "x", "7.", "7.0", "07", "+7", "7.2.1", "-1", "18446744073709551616"] {
            assert_eq!(Tag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_star_matches_only_an_existing_record() {
        assert!(Condition::Any.matches(Some(Tag::of_version(0))));
        assert!(!Condition::Any.matches(None));
        assert!(Condition::Absent.matches(None) && Condition::Absent.matches(Some(Tag::of_version(0))));
        assert!(!Condition::Absent.matches(Some(Tag::of_version(1))));
        assert!(Condition::OneOf(vec![Tag::of_version(3)]).matches(Some(Tag::of_version(3))));
        assert!(!Condition::OneOf(vec![]).matches(Some(Tag::of_version(3))));
    }
}
