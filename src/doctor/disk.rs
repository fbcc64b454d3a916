//! The disk of a data directory: its file system, its room, and what a commit costs on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FsWord;

use super::finding::Finding;
use crate::shard::DiskLimit;
use crate::storage::{SyncTimes, measure_syncs};

const AREA: &str = "disk";
/// The most synced writes that are measured, and the longest time for them.
const MOST_SYNCS: usize = 300;
const SYNCS_LIMIT: Duration = Duration::from_secs(3);
/// The time of a synced write that is noticed: commits take as long.
const SLOW_SYNC: Duration = Duration::from_millis(20);

/// What is to be known of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Memory,
    Container,
    Network,
}

/// File systems by the number that `statfs` reports for them.
const FILE_SYSTEMS: [(FsWord, &str, Kind); 15] = [
    (0xEF53, "ext4", Kind::Local),
    (0x5846_5342, "xfs", Kind::Local),
    (0x9123_683E, "btrfs", Kind::Local),
    (0xF2F5_2010, "f2fs", Kind::Local),
    (0x2FC1_2FC1, "zfs", Kind::Local),
    (0xCA45_1A4E, "bcachefs", Kind::Local),
    (0x0102_1994, "tmpfs", Kind::Memory),
    (0x8584_58F6, "ramfs", Kind::Memory),
    (0x794C_7630, "overlayfs", Kind::Container),
    (0x6969, "nfs", Kind::Network),
    (0xFF53_4D42, "cifs", Kind::Network),
    (0xFE53_4D42, "smb", Kind::Network),
    (0x0102_1997, "9p", Kind::Network),
    (0x00C3_6400, "ceph", Kind::Network),
    (0x6573_5546, "fuse", Kind::Network),
];

/// Looks at the disk of a data directory, or of the place where it will be made.
pub fn disk(data: &Path, min_free: u64) -> Vec<Finding> {
    let place = existing(data);
    let mut found = vec![file_system(data, &place), room(&place, min_free)];
    found.push(match measure_syncs(&place, MOST_SYNCS, SYNCS_LIMIT) {
        Ok(times) => syncs(&times),
        Err(error) => Finding::wrong(
            "sync",
            format!("{}: cannot be written to: {error}", place.display()),
            "run this as the store's user, and let it own --data",
        ),
    });
    found
}

/// The directory, or the first one above it that there is.
fn existing(data: &Path) -> PathBuf {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    absolute.ancestors().find(|path| path.is_dir()).map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn file_system(data: &Path, place: &Path) -> Finding {
    let Ok(stat) = rustix::fs::statfs(place) else {
        return Finding::warning(AREA, format!("{}: no file system is known", place.display()), "check --data");
    };
    let magic = stat.f_type;
    let known = FILE_SYSTEMS.iter().find(|(number, ..)| *number == magic);
    let (name, kind) =
        known.map_or_else(|| (format!("{magic:#x}"), Kind::Local), |(_, name, kind)| ((*name).into(), *kind));
    let text = format!("{} is on {name}", data.display());
    match kind {
        Kind::Local => Finding::good(AREA, text),
        Kind::Memory => Finding::wrong(AREA, format!("{text}, which is memory"), "choose a --data on a disk"),
        Kind::Container => Finding::warning(
            AREA,
            format!("{text}, a container's own layer, which goes when the container goes"),
            "mount a volume, and choose a --data on it",
        ),
        Kind::Network => Finding::warning(
            AREA,
            format!("{text}, over which a disk may be far away"),
            "choose a --data on a local disk, or be sure that it syncs and locks",
        ),
    }
}

fn room(place: &Path, min_free: u64) -> Finding {
    let limit = DiskLimit { directory: place.to_owned(), min_free };
    let free = limit.free();
    let files = free.files.map_or_else(|| "any number of files".into(), |files| format!("{files} files"));
    let text = format!("room for {} MiB and {files}; writes stop below {} MiB", free.bytes >> 20, min_free >> 20);
    match limit.allows(free) {
        true => Finding::good("room", text),
        false => Finding::wrong("room", text, "make room, choose another --data, or a smaller --min-free"),
    }
}

fn syncs(times: &SyncTimes) -> Finding {
    let SyncTimes { writes, p50, p99, is_direct } = times;
    let millis = |time: &Duration| time.as_secs_f64() * 1e3;
    let how = if *is_direct { "direct" } else { "through the page cache" };
    let text = format!(
        "a synced write of 4 KiB takes {:.2} ms, p99 {:.2} ms ({writes} writes, {how})",
        millis(p50),
        millis(p99)
    );
    match *p99 < SLOW_SYNC {
        true => Finding::good("sync", text),
        false => Finding::warning(
            "sync",
            text,
            "each commit takes as long: use a disk with a write cache that survives power failure, and nothing else on it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_directory_that_is_yet_to_be_made_is_looked_at_where_it_will_be() {
        let directory = tempfile::tempdir().unwrap();
        let found = disk(&directory.path().join("a/b"), 0);
        assert!(found.iter().all(|finding| finding.level < Level::Wrong || finding.area == AREA), "{found:?}");
        assert!(!directory.path().join("a").exists());
    }

    #[test]
    fn a_slow_or_full_disk_is_told() {
        let times = |p99| SyncTimes { writes: 1, p50: Duration::ZERO, p99, is_direct: true };
        assert_eq!(syncs(&times(Duration::from_millis(1))).level, Level::Good);
        assert_eq!(syncs(&times(Duration::from_secs(1))).level, Level::Warning);
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(room(directory.path(), u64::MAX).level, Level::Wrong);
    }
}
