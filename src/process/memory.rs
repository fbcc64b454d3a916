//! The memory that processes of this machine may use: what it has, or what a control group allows.

use std::fs;
use std::path::{Path, PathBuf};

/// The bytes that this process may use together with its like: the least of the machine's memory and of the limits of its
/// control groups. `None` where that cannot be found out.
pub fn limit() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    machine.into_iter().chain(group_limits(Path::new("/sys/fs/cgroup"), &groups)).min()
}

/// The machine's memory in the text of `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let kibibytes = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<u64>().ok()?.checked_mul(1_024)
}

/// The limits of a process's control groups and of those above them. In a container the root is the container's own group.
fn group_limits(root: &Path, groups: &str) -> Vec<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (top, file): (PathBuf, _) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let group = top.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|directory| directory.starts_with(&top));
        // `max` is no number.
        let read = |directory: &Path| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
        limits.extend(above.filter_map(read));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_all_limits_counts() {
        assert_eq!(total("MemTotal:       8 kB\nMemFree: 1 kB\n"), Some(8_192));
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("system.slice/shop.service");
        fs::create_dir_all(&service).unwrap();
        fs::write(service.join("memory.max"), "max\n").unwrap();
        fs::write(root.path().join("system.slice/memory.max"), "5000\n").unwrap();
        fs::create_dir_all(root.path().join("memory/a")).unwrap();
        fs::write(root.path().join("memory/a/memory.limit_in_bytes"), "7000\n").unwrap();
        assert_eq!(group_limits(root.path(), "0::/system.slice/shop.service\n"), [5_000]);
        assert_eq!(group_limits(root.path(), "3:cpu:/a\n4:memory:/a\n"), [7_000]);
        assert!(group_limits(root.path(), "0::/elsewhere\nnonsense").is_empty());
        assert!(limit().is_some_and(|bytes| bytes > 1 << 20));
    }
}
