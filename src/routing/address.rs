//! The address of a shard: TCP or a Unix socket, written `HOST:PORT` or `unix:PATH`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Invalid};

/// The longest path of a Unix socket, in bytes. `sun_path` holds 108 with its final zero; the rest is room for
/// the temporary name that a restart binds first.
pub const MAX_SOCKET_PATH: usize = 100;

/// The address of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `HOST:PORT`; port 0 lets the operating system choose when listening.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.len() > MAX_SOCKET_PATH {
                return Err(Invalid::general(format!(
                    "`{text}`: the path of a Unix socket has 1 to {MAX_SOCKET_PATH} bytes"
                ))
                .into());
            }
            return Ok(Address::Unix(PathBuf::from(path)));
        }
        let valid = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !valid {
            return Err(Invalid::general(format!("`{text}` is neither HOST:PORT nor unix:PATH")).into());
        }
        Ok(Address::Tcp(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written_alike() {
        for text in ["127.0.0.1:80", "localhost:0", "[::1]:7000", "unix:/run/shard-0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH));
        for text in ["", "host", "host:", ":80", "host:70000", "unix:", long.as_str()] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
