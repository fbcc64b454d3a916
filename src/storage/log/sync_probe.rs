//! Measures what a commit costs on a disk, with the calls of the log itself.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::block::{BLOCK_BYTES, BlockBuffer};
use super::disk::{Disk as _, LocalDisk};

/// The size of the file that is written to, in bytes.
const FILE_BYTES: u64 = 1 << 20;
const FILE: &str = "probe-of-syncs";

/// The times that synced writes of one block took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncTimes {
    /// The number of writes.
    pub writes: usize,
    /// The median.
    pub p50: Duration,
    /// The time that 1 in 100 writes exceeds.
    pub p99: Duration,
    /// True when the writes passed by the page cache.
    pub is_direct: bool,
}

/// Writes and syncs 4 KiB again and again, as the log does, in a directory of its own below `directory`: at most `most`
/// times, and for at most `limit`, but once at least.
///
/// # Errors
/// Those of the file system.
pub fn measure_syncs(directory: &Path, most: usize, limit: Duration) -> io::Result<SyncTimes> {
    let own = directory.join(format!(".shardcart-doctor-{}", std::process::id()));
    let measured = measure(&own, most, limit);
    let removed = fs::remove_dir_all(&own);
    let times = measured?;
    removed?;
    Ok(times)
}

fn measure(directory: &Path, most: usize, limit: Duration) -> io::Result<SyncTimes> {
    let disk = LocalDisk::open(directory, FILE)?;
    let file = disk.create(FILE, FILE_BYTES, &mut |_| {})?;
    let mut buffer = BlockBuffer::default();
    let block = buffer.fill(&[&[1; BLOCK_BYTES]], disk.unit());
    let places = FILE_BYTES / disk.unit() as u64;
    let began = Instant::now();
    let mut times = Vec::with_capacity(most);
    for number in 0..most.max(1) as u64 {
        let started = Instant::now();
        file.write_at(block, number % places * disk.unit() as u64)?;
        times.push(started.elapsed());
        if began.elapsed() >= limit {
            break;
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    Ok(SyncTimes { writes: times.len(), p50: at(50), p99: at(99), is_direct: disk.is_direct() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_measures_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let times = measure_syncs(directory.path(), 20, Duration::from_secs(60)).unwrap();
        assert_eq!(times.writes, 20);
        assert!(times.p50 <= times.p99, "{times:?}");
        assert_eq!(measure_syncs(directory.path(), 20, Duration::ZERO).unwrap().writes, 1);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(measure_syncs(&directory.path().join("a/file").join("missing\0"), 1, Duration::ZERO).is_err());
    }
}
