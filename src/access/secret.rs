//! API keys as text, which `Debug` hides, and as SHA-256 digests, which are stored.

use std::fmt;

use base16ct::lower;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use subtle::{Choice, ConstantTimeEq};

use crate::error::{Error, Invalid, Result};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 256;
/// The random part of a new key, in bytes.
const RANDOM_BYTES: usize = 24;
/// The prefix of new keys, by which people and scanners for leaked secrets recognize them.
const PREFIX: &str = "sck_";
/// The length of a SHA-256, in bytes.
const DIGEST_BYTES: usize = 32;

/// An API key. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Checks a key that a person chose.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that cannot be the value of a header.
    pub fn new(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > MAX_KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = format!("an API key is 1 to {MAX_KEY_BYTES} printable ASCII characters without spaces");
            return Err(Invalid::general(what).into());
        }
        Ok(Self::of_text(text))
    }

    pub(super) fn of_text(text: &str) -> Self {
        Secret(text.to_owned())
    }

    /// Makes a key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are none.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
        Ok(Secret(format!("{PREFIX}{}", lower::encode_string(&bytes))))
    }

    /// The key itself, to be shown to its owner once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a key, in JSON 64 lower-case hexadecimal digits. Keys are random, so it needs no salt and no slow
/// hash.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; DIGEST_BYTES]);

impl Digest {
    /// The digest of a key as it was received.
    pub fn of(key: &[u8]) -> Self {
        Digest(sha2::Sha256::digest(key).into())
    }

    /// Compares in constant time.
    pub fn is(&self, other: &Digest) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        let mut bytes = [0; DIGEST_BYTES];
        match lower::decode(text, &mut bytes) {
            Ok(read) if read.len() == DIGEST_BYTES => Ok(Digest(bytes)),
            _ => Err("a SHA-256 has 64 lower-case hexadecimal digits"),
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        lower::encode_string(&digest.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_key_is_printed() {
        let secret = Secret::new("hunter2").unwrap();
        assert_eq!(format!("{secret:?} {:?}", secret.digest()), "Secret(…) Digest(…)");
    }

    #[test]
    fn a_new_key_is_random_and_fits_into_a_url_and_a_header() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), PREFIX.len() + 2 * RANDOM_BYTES);
        assert!(one.reveal().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        assert!(Secret::new(one.reveal()).is_ok());
    }

    #[test]
    fn a_key_can_be_the_value_of_a_header() {
        for text in ["", " ", "a b", "tab\t", "Zoë", &"x".repeat(MAX_KEY_BYTES + 1)] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn digests_are_read_and_written_alike() {
        // The SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(b"abc");
        assert_eq!(String::from(digest), hex);
        assert!(bool::from(Digest::try_from(hex.to_owned()).unwrap().is(&digest)));
        for text in ["", &hex[2..], &hex[1..], &hex.to_uppercase(), &format!("{hex}00"), &hex.replace('b', "g")] {
            assert!(Digest::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
