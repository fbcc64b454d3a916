//! Which files of a ring are needed and which are free, and whether commits have room: what a running log has in memory.

use super::manifest::{LiveFile, Manifest};

/// The files of a ring.
pub struct Files {
    /// What the manifest's file has.
    pub manifest: Manifest,
    /// The positions of free files; the last one is taken first.
    pub free: Vec<u16>,
    /// The file that commits go to; none once it is full or sealed.
    pub newest: Option<LiveFile>,
    /// True while no more files can be made, as on a full disk.
    pub cannot_grow: bool,
    /// True while a commit waits for a free file.
    pub is_awaited: bool,
    /// True while one has waited for too long.
    pub is_late: bool,
    max_files: u16,
}

impl Files {
    /// The files of a manifest, all of them sealed that are not free. There may be more, up to a number.
    pub fn new(manifest: Manifest, max_files: u16) -> Self {
        let is_free = |index: &u16| manifest.live.iter().all(|file| file.index != *index);
        let free = (0..manifest.files).filter(is_free).rev().collect();
        Files { manifest, free, newest: None, cannot_grow: false, is_awaited: false, is_late: false, max_files }
    }

    /// The sealed files, from the oldest on.
    pub fn sealed(&self) -> Vec<LiveFile> {
        self.manifest.live.iter().copied().filter(|file| self.newest != Some(*file)).collect()
    }

    /// True when another file is to be made: none is free, and there may be more.
    pub fn needs_another(&self) -> bool {
        self.free.is_empty() && self.manifest.files < self.max_files
    }

    /// True when a file is free for the commits to come, or is made in time.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() || (self.needs_another() && !self.cannot_grow && !self.is_late)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn files(files: u16, live: &[u16]) -> Files {
        let live = live.iter().map(|index| LiveFile { index: *index, number: u64::from(*index) + 1, after: 0 });
        let manifest = Manifest {
            ring: Uuid::nil(),
            unit: 4_096,
            file_bytes: 65_536,
            files,
            applied: 0,
            next_number: 9,
            reached: 0,
            given_up: 0,
            live: live.collect(),
        };
        Files::new(manifest, 3)
    }

    #[test]
    fn there_is_room_while_a_file_is_free_or_is_made_in_time() {
        assert_eq!(files(3, &[1]).free, [2, 0]);
        let full = files(3, &[0, 1, 2]);
        assert!(!full.has_room() && !full.needs_another());
        let growing = || files(2, &[0, 1]);
        assert!(growing().has_room() && growing().needs_another());
        assert!(!Files { cannot_grow: true, ..growing() }.has_room());
        assert!(!Files { is_late: true, ..growing() }.has_room());
        assert!(Files { cannot_grow: true, is_late: true, ..files(3, &[1]) }.has_room());
    }

    #[test]
    fn the_newest_file_is_not_sealed() {
        let mut files = files(3, &[0, 1]);
        assert_eq!(files.sealed().len(), 2);
        files.newest = files.manifest.live.last().copied();
        assert_eq!(files.sealed(), files.manifest.live[..1]);
    }
}
