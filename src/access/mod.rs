//! API keys: who may read and who may write. The facade asks; the launcher checks the same settings
//! before it starts anything; `shardcart keys` keeps the file.

mod file;
mod keys;
mod policy;
mod secret;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::{fmt, thread};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use keys::Keys;
use policy::Policy;
use watch::Watch;

pub use file::{Entry, KeyFile};
pub use policy::Port;
pub use secret::Secret;

/// The environment variable with a key of the role `admin`.
pub const KEY_VARIABLE: &str = "BOOKSTORE_API_KEY";
/// The key that works where none is configured and nobody else can connect.
const DEVELOPMENT_KEY: &str = "secret123";

/// What the owner of a key may do; each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// GET and HEAD.
    Read,
    /// Every method.
    Write,
    /// Everything.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Role::Read, Role::Write, Role::Admin]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| Error::Invalid(format!("`{text}` is none of read, write, admin")))
    }
}

/// What is configured.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// One key of the role `admin`, from the environment.
    pub key: Option<Secret>,
    /// A file of keys; those in it count beside the one above.
    pub file: Option<PathBuf>,
    /// Whether every path wants a key.
    pub require_key: bool,
    /// Whether writes want none although others than this machine can connect.
    pub open_writes: bool,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Its key is not known.
    Unknown,
    /// Its key's role is too small.
    Forbidden {
        /// What the key may do.
        has: Role,
        /// What the request wants.
        wants: Role,
    },
}

/// Lets requests in, or not.
#[derive(Debug)]
pub struct Access {
    policy: Policy,
    keys: RwLock<Keys>,
    watch: Option<Watch>,
    is_development: bool,
}

impl Access {
    /// Reads what is configured for a facade that listens on these addresses.
    ///
    /// # Errors
    /// [`Error::Invalid`] when others than this machine can connect and no key is configured,
    /// [`Error::Fault`] when the file cannot be read.
    pub fn open(settings: &Settings, listeners: impl IntoIterator<Item = SocketAddr>) -> Result<Access> {
        let exposed = listeners.into_iter().find(|address| !address.ip().to_canonical().is_loopback());
        let watch = settings.file.clone().map(Watch::new);
        let listed = settings.file.as_deref().map(KeyFile::read).transpose()?;
        let is_development = settings.key.is_none() && settings.file.is_none();
        let development = || (is_development && exposed.is_none()).then(|| Secret::of_text(DEVELOPMENT_KEY));
        let own = settings.key.clone().or_else(development);
        let keys = Keys::new(own, listed.as_ref());
        if let Some(address) = exposed.filter(|_| keys.is_empty()) {
            return Err(Error::Invalid(format!(
                "{address} can be reached from other machines and there is no API key: set {KEY_VARIABLE}, or make a \
                 file with `shardcart keys new` and give it as --api-keys"
            )));
        }
        let policy =
            Policy { require_key: settings.require_key, guard_writes: exposed.is_some() && !settings.open_writes };
        Ok(Access { policy, keys: RwLock::new(keys), watch, is_development })
    }

    /// Says what whoever runs the facade should know of, and follows the file of keys for as long as
    /// this is used.
    ///
    /// # Errors
    /// [`Error::Fault`] when no thread can be had.
    pub fn follow(mut self) -> Result<Arc<Access>> {
        let watch = self.watch.take();
        let access = Arc::new(self);
        if access.is_development {
            tracing::warn!("no API key is configured: the development key works; set {KEY_VARIABLE} or --api-keys");
        }
        if let Some(watch) = watch {
            let access = Arc::downgrade(&access);
            thread::Builder::new()
                .name("api-keys".into())
                .spawn(move || watch.run(&access))
                .map_err(|error| Error::Fault(format!("cannot start a thread: {error}")))?;
        }
        Ok(access)
    }

    /// The role that a request wants, if any; costs next to nothing.
    pub fn wanted(&self, port: Port, path: &str, is_read: bool) -> Option<Role> {
        self.policy.wanted(port, path, is_read)
    }

    /// Whether a key may do what is wanted.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, key: &[u8], wants: Role) -> std::result::Result<(), Denied> {
        let role = self.keys.read().unwrap_or_else(PoisonError::into_inner).role_of(key);
        match role {
            None => Err(Denied::Unknown),
            Some(has) if has < wants => Err(Denied::Forbidden { has, wants }),
            Some(_) => Ok(()),
        }
    }

    /// Takes over the keys of a file that has changed.
    fn replace_listed(&self, listed: &KeyFile) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).replace_listed(listed);
    }
}
