//! The limit of open file descriptors: each connection takes one, and the usual soft limit of 1,024 is soon reached.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as far as the process may, and returns what it is then.
pub fn raise_limit() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of file descriptors cannot be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The number of connections that may be open at most: what is asked for, less if `reserved` descriptors for all else would
/// not be left then. Raises the limit first, and warns when it leaves fewer.
pub fn possible_connections(asked: usize, reserved: u64) -> usize {
    let limit = raise_limit();
    let possible = usize::try_from(limit.saturating_sub(reserved)).unwrap_or(usize::MAX).max(1);
    if possible < asked {
        tracing::warn!(asked, possible, limit, "the limit of file descriptors leaves fewer connections");
    }
    asked.min(possible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        assert_eq!(raise_limit(), getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    }

    #[test]
    fn connections_leave_what_is_reserved() {
        let limit = raise_limit();
        assert_eq!(possible_connections(2, 1), 2);
        assert_eq!(possible_connections(20, limit - 7), 7);
        assert_eq!(possible_connections(20, u64::MAX), 1, "one is served anyhow");
    }
}
