//! What is free on the disk of a directory.

use std::path::Path;

/// What is free on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// The number of files that can still be made; `None` where the file system has no limit.
    pub files: Option<u64>,
}

impl Free {
    /// What is free on the disk of a directory. A disk that cannot be asked counts as full.
    pub fn of(directory: &Path) -> Self {
        rustix::fs::statvfs(directory).map_or(Free { bytes: 0, files: None }, |stat| Free {
            bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            // File systems that make room for files as they need it report none at all.
            files: (stat.f_files > 0).then_some(stat.f_favail),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_cannot_be_asked_is_full() {
        assert!(Free::of(Path::new("/")).bytes > 0);
        assert_eq!(Free::of(Path::new("/none/of/this")), Free { bytes: 0, files: None });
    }
}
