//! The answer of a store to a request that it carried out.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderMap};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// An answer with a status of success.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status: 200 to 299.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unchanged.
    pub body: Bytes,
    /// The number of times that the request was sent.
    pub attempts: u32,
}

impl Answer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is something else: another program answered.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::Internal(format!("the answer is not what a store of this version says; is it one? ({error})"))
        })
    }

    /// True when this is the answer to an earlier request with the same idempotency key.
    pub fn is_replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }

    /// The entity tag.
    pub fn etag(&self) -> Option<&str> {
        self.headers.get(ETAG)?.to_str().ok()
    }
}
