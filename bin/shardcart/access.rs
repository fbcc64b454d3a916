//! Options for API keys, which the facade and the launcher have in common.

use std::env::{self, VarError};
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use shardcart::access::{KEY_VARIABLES, Secret, Settings, Start};
use shardcart::error::{Error, Invalid};

#[derive(Args, Clone)]
pub struct Access {
    /// A file of API keys, as `shardcart keys` makes it; changes take effect without a restart. One more key, of
    /// the role admin, may be in the environment as BOOKSTORE_API_KEY or SHARDCART_API_KEY.
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,
    /// Require an API key on every path but /livez and /readyz.
    #[arg(long)]
    require_key: bool,
    /// Allow writes without an API key although other machines can connect.
    #[arg(long)]
    open_writes: bool,
    /// Require an API key for writes on loopback too, as where a proxy stands in front.
    #[arg(long, conflicts_with = "open_writes")]
    guard_writes: bool,
}

impl Access {
    /// The settings of the command line and the environment.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            key: environment_key()?,
            file: self.api_keys.clone(),
            require_key: self.require_key,
            open_writes: self.open_writes,
            guard_writes: self.guard_writes,
            start: Start::First,
        })
    }

    /// The settings as arguments of a facade, which inherits the environment.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if let Some(file) = &self.api_keys {
            arguments.extend(["--api-keys".into(), file.into()]);
        }
        arguments.extend(self.require_key.then(|| "--require-key".into()));
        arguments.extend(self.open_writes.then(|| "--open-writes".into()));
        arguments.extend(self.guard_writes.then(|| "--guard-writes".into()));
        arguments
    }
}

/// The key of the environment, if it has one.
pub fn environment_key() -> anyhow::Result<Option<Secret>> {
    key_of_environment(|variable| env::var(variable))
}

/// The key of the variable that is set, or of both if they agree.
fn key_of_environment(read: impl Fn(&str) -> Result<String, VarError>) -> anyhow::Result<Option<Secret>> {
    let mut found: Option<(&str, Secret)> = None;
    for variable in KEY_VARIABLES {
        let key = match read(variable) {
            // An empty value is a mistake and not a missing key.
            Ok(text) => Secret::new(&text).context(variable)?,
            Err(VarError::NotPresent) => continue,
            Err(VarError::NotUnicode(_)) => {
                return Err(Error::from(Invalid::general("is not UTF-8"))).context(variable);
            }
        };
        if let Some((other, _)) = found.as_ref().filter(|(_, known)| known.reveal() != key.reveal()) {
            let reason = format!("{other} and {variable} are different API keys: set one of them");
            return Err(Error::from(Invalid::general(reason)).into());
        }
        found = Some((variable, key));
    }
    Ok(found.map(|(_, key)| key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_variable_has_the_key_and_two_different_ones_are_refused() {
        let key = |shop: Option<&str>, store: Option<&str>| {
            let read = |name: &str| {
                let value = if name == KEY_VARIABLES[0] { shop } else { store };
                value.map(ToOwned::to_owned).ok_or(VarError::NotPresent)
            };
            key_of_environment(read).map(|key| key.map(|key| key.reveal().to_owned()))
        };
        assert_eq!(key(None, None).unwrap(), None);
        for (shop, store) in
            [(Some("first-key"), None), (None, Some("first-key")), (Some("first-key"), Some("first-key"))]
        {
            assert_eq!(key(shop, store).unwrap().as_deref(), Some("first-key"), "{shop:?} {store:?}");
        }
        let message = key(Some("first-key"), Some("second-key")).unwrap_err().to_string();
        assert!(KEY_VARIABLES.iter().all(|name| message.contains(name)) && !message.contains("-key"), "{message}");
        assert!(key(Some(""), None).is_err() && key(Some("first-key"), Some("")).is_err());
    }
}
