//! What a facade and its launcher say to each other about a playground: one JSON line each way on a Unix socket.

use serde::{Deserialize, Serialize};

use super::mode::GatewayMode;
use crate::error::{Error, Invalid, Result};

/// The longest line in either direction, in bytes.
pub const MAX_LINE_BYTES: usize = 16 << 10;

/// A wish of the facade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To know the counts.
    Count,
    /// To change how many changes a second the shoppers make.
    Rate(u32),
    /// To kill a process, by its name.
    Crash(String),
    /// To change how the payment gateway behaves.
    Gateway(GatewayMode),
}

/// The launcher's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granted {
    /// The counts.
    Count(Box<Count>),
    /// It is done, or will be in a moment.
    Done,
    /// It makes no sense, because of this field.
    Invalid {
        /// The field.
        field: String,
        /// The reason, without the field.
        reason: String,
    },
    /// It is not possible now.
    Unavailable(String),
}

/// The counts of a playground, as `GET /playground` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The changes a second that are wanted.
    pub rate_per_s: u32,
    /// The number of shoppers.
    pub shoppers: u64,
    /// The time since they began, in seconds.
    pub running_s: u64,
    /// Changes that the store acknowledged.
    pub acknowledged: u64,
    /// Requests that were sent once more.
    pub retried: u64,
    /// Acknowledged changes that are gone.
    pub lost: u64,
    /// Changes that took effect more than once.
    pub applied_twice: u64,
    /// Pieces by which products are off.
    pub stock_drift: u64,
    /// The longest time from a request to its outcome, in milliseconds.
    pub longest_wait_ms: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Changes that the store refused or did not apply in time.
    pub refused: u64,
    /// Changes whose outcome is not known now.
    pub unknown: u64,
    /// How the payment gateway behaves.
    pub gateway: GatewayMode,
    /// The first faults of the store, for people.
    pub findings: Vec<String>,
}

impl From<Result<()>> for Granted {
    fn from(result: Result<()>) -> Self {
        match result {
            Ok(()) => Granted::Done,
            Err(Error::Invalid(invalid)) => Granted::Invalid {
                field: invalid.field().unwrap_or_default().to_owned(),
                reason: invalid.reason().to_owned(),
            },
            Err(error) => Granted::Unavailable(error.to_string()),
        }
    }
}

impl Granted {
    /// The answer as a result: the counts, if it has any.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unavailable`], as the answer says.
    pub fn into_result(self) -> Result<Option<Box<Count>>> {
        match self {
            Granted::Count(count) => Ok(Some(count)),
            Granted::Done => Ok(None),
            Granted::Invalid { field, reason } => Err(Invalid::new(field, reason).into()),
            Granted::Unavailable(text) => Err(Error::Unavailable(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_over_unchanged() {
        let over = |result: Result<()>| {
            let line = serde_json::to_string(&Granted::from(result)).unwrap();
            serde_json::from_str::<Granted>(&line).unwrap().into_result()
        };
        assert_eq!(over(Ok(())), Ok(None));
        for error in [Error::invalid("target", "there is no shard-9"), Error::Unavailable("facade: not ready".into())] {
            assert_eq!(over(Err(error.clone())), Err(error));
        }
    }
}
