//! Unix sockets: removes those that a dead process left behind, which would make a bind fail.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Removes a socket at a path. Anything else that is there stays. The caller makes sure, with a lock, that no other
/// process listens on it.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_stale_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}
