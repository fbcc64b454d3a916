//! A snapshot with its texts, each made once for everybody, when somebody first asks.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::snapshot::Snapshot;
use super::{exposition, json};
use crate::error::{Error, Result};

/// A snapshot that is shown.
#[derive(Debug)]
pub struct Published {
    snapshot: Arc<Snapshot>,
    json: OnceLock<Bytes>,
    frame: OnceLock<Bytes>,
    metrics: OnceLock<Option<Bytes>>,
}

impl From<Snapshot> for Published {
    fn from(snapshot: Snapshot) -> Self {
        let snapshot = Arc::new(snapshot);
        Published { snapshot, json: OnceLock::new(), frame: OnceLock::new(), metrics: OnceLock::new() }
    }
}

impl Deref for Published {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Published {
    /// The snapshot as JSON.
    pub fn json(&self) -> Bytes {
        self.json.get_or_init(|| json::render(self)).clone()
    }

    /// The snapshot as a server-sent event.
    pub fn frame(&self) -> Bytes {
        let frame = || {
            let head = format!("event: status\nid: {}\ndata: ", self.number);
            Bytes::from([head.as_bytes(), &self.json(), b"\n\n"].concat())
        };
        self.frame.get_or_init(frame).clone()
    }

    /// The snapshot in the text format of OpenMetrics.
    ///
    /// # Errors
    /// [`Error::Internal`] when the text cannot be written.
    pub fn metrics(&self) -> Result<Bytes> {
        let text = || exposition::render(&self.snapshot).ok().map(Bytes::from);
        let text = self.metrics.get_or_init(text).clone();
        text.ok_or_else(|| Error::Internal("the metrics cannot be written".into()))
    }
}
