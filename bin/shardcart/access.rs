//! Options for API keys, which the facade and the launcher have in common.

use std::env::{self, VarError};
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use shardcart::access::{KEY_VARIABLE, Secret, Settings};
use shardcart::error::Error;

#[derive(Args, Clone)]
pub struct Access {
    /// A file of API keys, as `shardcart keys` makes it; changes count without a restart. One more key, of
    /// the role admin, may be in the environment as BOOKSTORE_API_KEY.
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,
    /// Want an API key on every path but /livez and /readyz.
    #[arg(long)]
    require_key: bool,
    /// Let writes in without an API key although other machines can connect.
    #[arg(long)]
    open_writes: bool,
}

impl Access {
    /// What is configured here and in the environment.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            key: key_of_environment().context(KEY_VARIABLE)?,
            file: self.api_keys.clone(),
            require_key: self.require_key,
            open_writes: self.open_writes,
        })
    }

    /// As arguments of a facade; it has the same environment.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if let Some(file) = &self.api_keys {
            arguments.extend(["--api-keys".into(), file.into()]);
        }
        arguments.extend(self.require_key.then(|| "--require-key".into()));
        arguments.extend(self.open_writes.then(|| "--open-writes".into()));
        arguments
    }
}

/// A variable that is set to nothing is a mistake and not a key that is missing.
fn key_of_environment() -> Result<Option<Secret>, Error> {
    match env::var(KEY_VARIABLE) {
        Ok(text) => Secret::new(&text).map(Some),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::Invalid("is not UTF-8".into())),
    }
}
