//! API keys: those that a facade will know, and the one that client commands send.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::finding::Finding;
use crate::access::{ApiKeys, KeyFile, Settings};

const AREA: &str = "keys";
/// The permissions of group and others.
const OTHERS: u32 = 0o077;

/// Looks at the keys of a facade that listens on these addresses, as it does itself at its start.
pub fn server_keys(settings: &Settings, listeners: &[SocketAddr]) -> Finding {
    let opened = ApiKeys::open(settings, listeners.iter().copied());
    match (opened, &settings.file) {
        (Err(error), _) => Finding::wrong(
            AREA,
            error.to_string(),
            "`shardcart keys new --file FILE` makes one; --api-keys FILE names it",
        ),
        (Ok(keys), _) if keys.is_development() => {
            Finding::good(AREA, "none is configured: on this machine the development key works")
        }
        (Ok(_), Some(file)) => {
            let count = KeyFile::read(file).map(|file| file.entries().len()).unwrap_or_default();
            let text = format!("{} has {count} keys, as digests", file.display());
            match is_writable_by_others(file) {
                false => Finding::good(AREA, text),
                true => Finding::wrong(
                    AREA,
                    format!("{text}; others may write it"),
                    format!("chmod 600 {}", file.display()),
                ),
            }
        }
        (Ok(_), None) => Finding::good(AREA, "one, in the environment"),
    }
}

/// Looks at the file with the key of client commands.
pub fn client_key(file: &Path) -> Finding {
    const AREA: &str = "client key";
    let shown = file.display();
    match fs::metadata(file).map(|metadata| metadata.permissions().mode()) {
        Err(error) => Finding::wrong(AREA, format!("{shown}: {error}"), "--api-key-file names the file with your key"),
        Ok(mode) if mode & OTHERS != 0 => {
            Finding::warning(AREA, format!("others may read {shown}"), format!("chmod 600 {shown}"))
        }
        Ok(_) => Finding::good(AREA, format!("{shown} is its owner's alone")),
    }
}

fn is_writable_by_others(file: &Path) -> bool {
    const WRITE: u32 = 0o022;
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & WRITE != 0)
}
