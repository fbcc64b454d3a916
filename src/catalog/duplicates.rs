//! The ids of a file with their lines, to find duplicates.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::routing::ProductId;

/// The ids seen so far, each as a 128-bit hash under random keys: 24 bytes a row, and no file can be made to
/// contain two ids that collide.
#[derive(Default)]
pub struct DuplicateIds {
    lines: HashTable<([u64; 2], u64)>,
    keys: [RandomState; 2],
}

impl DuplicateIds {
    /// Adds an id. Returns the line of an earlier row with the same id.
    pub fn put(&mut self, id: &ProductId, line: u64) -> Option<u64> {
        let fingerprint = [self.keys[0].hash_one(id), self.keys[1].hash_one(id)];
        let is_same = |(other, _): &([u64; 2], u64)| *other == fingerprint;
        match self.lines.entry(fingerprint[0], is_same, |(other, _)| other[0]) {
            Entry::Occupied(before) => Some(before.get().1),
            Entry::Vacant(vacant) => {
                vacant.insert((fingerprint, line));
                None
            }
        }
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.lines.len()
    }
}
