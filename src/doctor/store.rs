//! The store that client commands speak to, if one runs.

use serde::Deserialize;

use super::finding::Finding;
use crate::remote::{Answer, Failure, Outcome, StoreUrl};

const AREA: &str = "store";

/// What answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// A store.
    Up,
    /// Nothing.
    Down,
}

#[derive(Deserialize)]
struct Index {
    name: String,
    version: String,
}

/// Looks at a store by what it says at `/` and `/readyz`. `has_key` is true when requests carry an API key.
pub fn store(
    url: &StoreUrl,
    has_key: bool,
    index: Result<Answer, Failure>,
    ready: Result<Answer, Failure>,
) -> (Vec<Finding>, StoreState) {
    let answer = match index {
        Ok(answer) => answer,
        Err(failure) if failure.status.is_none() => {
            let text = format!("none answers at {url}: {failure}");
            let finding = match failure.outcome {
                Outcome::NotApplied => Finding::good(AREA, format!("{text}. Fine before `shardcart launch`")),
                _ => Finding::warning(AREA, text, "--url names the address of the store"),
            };
            return (vec![finding], StoreState::Down);
        }
        Err(failure) => {
            let finding = Finding::wrong(AREA, format!("{url} answers: {failure}"), "check --url and the API key");
            return (vec![finding], StoreState::Up);
        }
    };
    let mut found = vec![version(url, &answer), readiness(ready)];
    if has_key && !url.is_encrypted() && !url.is_loopback() {
        let text = format!("the API key travels to {url} in clear text");
        found.push(Finding::warning(AREA, text, "put a proxy with TLS in front of the store, and use https"));
    }
    (found, StoreState::Up)
}

fn version(url: &StoreUrl, answer: &Answer) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    match answer.json::<Index>() {
        Ok(index) if index.name == env!("CARGO_PKG_NAME") && index.version == own => {
            Finding::good(AREA, format!("{url} is a store of version {own}, as this program"))
        }
        Ok(index) if index.name == env!("CARGO_PKG_NAME") => Finding::warning(
            AREA,
            format!("{url} is a store of version {}, this program has {own}", index.version),
            "restart the store with the newer version, or use the program of its version",
        ),
        _ => Finding::wrong(
            AREA,
            format!("{url} is something else than a store"),
            "--url names the address of the store",
        ),
    }
}

fn readiness(ready: Result<Answer, Failure>) -> Finding {
    match ready {
        Ok(_) => Finding::good(AREA, "all shards answer"),
        Err(failure) => {
            Finding::wrong(AREA, failure.to_string(), "`shardcart status` shows which shard; its log says why")
        }
    }
}
