//! A hash table of many small ones. One large table moves all its entries when it grows, and nothing else runs meanwhile:
//! seconds at ten million entries. Each of these moves its own few thousand.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The number of tables.
const TABLES: usize = 4_096;
/// The lowest bit of a hash that chooses the table. The bits below choose a bucket in it, the top seven tell entries apart.
const TABLE_SHIFT: u32 = 20;

/// A table of entries that know their hash.
pub struct SplitTable<T> {
    tables: Box<[HashTable<T>]>,
    len: usize,
}

impl<T> Default for SplitTable<T> {
    fn default() -> Self {
        SplitTable { tables: (0..TABLES).map(|_| HashTable::new()).collect(), len: 0 }
    }
}

fn index(hash: u64) -> usize {
    (hash >> TABLE_SHIFT) as usize % TABLES
}

impl<T> SplitTable<T> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The entry of a hash that fits.
    pub fn find(&self, hash: u64, fits: impl FnMut(&T) -> bool) -> Option<&T> {
        self.tables[index(hash)].find(hash, fits)
    }

    /// Stores an entry, and returns the one that fitted before.
    pub fn put(&mut self, hash: u64, entry: T, fits: impl FnMut(&T) -> bool, hash_of: impl Fn(&T) -> u64) -> Option<T> {
        match self.tables[index(hash)].entry(hash, fits, hash_of) {
            Entry::Occupied(mut occupied) => Some(std::mem::replace(occupied.get_mut(), entry)),
            Entry::Vacant(vacant) => {
                vacant.insert(entry);
                self.len += 1;
                None
            }
        }
    }

    /// Removes and returns the entry of a hash that fits.
    pub fn remove(&mut self, hash: u64, fits: impl FnMut(&T) -> bool) -> Option<T> {
        let (entry, _) = self.tables[index(hash)].find_entry(hash, fits).ok()?.remove();
        self.len -= 1;
        Some(entry)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.tables.iter().flat_map(HashTable::iter)
    }

    /// The entries of one of the parts; `None` past the last one. An entry stays in its part.
    pub fn part(&self, part: usize) -> Option<impl ExactSizeIterator<Item = &T>> {
        self.tables.get(part).map(HashTable::iter)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::routing::KeyHash;

    fn hash(number: u64) -> u64 {
        KeyHash::of(&number.to_string()).table_hash()
    }

    #[test]
    fn every_entry_is_found_in_its_part() {
        let mut table = SplitTable::default();
        for number in 0..10_000_u64 {
            assert_eq!(table.put(hash(number), number, |other| *other == number, |other| hash(*other)), None);
        }
        assert_eq!(table.put(hash(5), 5, |other| *other == 5, |other| hash(*other)), Some(5));
        assert_eq!((table.len(), table.iter().count()), (10_000, 10_000));
        let sizes: Vec<_> = (0..).map_while(|part| table.part(part)).map(|part| part.len()).collect();
        assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (TABLES, 10_000));
        assert!(sizes.iter().all(|size| *size < 20), "they are spread evenly");
        assert!((0..10_000).all(|number| table.find(hash(number), |other| *other == number).is_some()));
        assert_eq!(table.remove(hash(5), |other| *other == 5), Some(5));
        assert_eq!(table.remove(hash(5), |other| *other == 5), None);
        assert_eq!(table.len(), 9_999);
    }

    /// A table that grows asks for the hash of each entry that it moves.
    #[test]
    fn growing_moves_few_entries_at_once() {
        let moved = Cell::new(0);
        let mut table = SplitTable::default();
        let mut most = 0;
        for number in 0..400_000_u64 {
            let hash_of = |entry: &u64| {
                moved.set(moved.get() + 1);
                *entry
            };
            moved.set(0);
            let hash = hash(number);
            table.put(hash, hash, |other| *other == hash, hash_of);
            most = most.max(moved.get());
        }
        assert!((50..1_000).contains(&most), "one table would move hundreds of thousands: {most}");
    }

    /// Prints the longest pause: `cargo test --release --lib split_table -- --ignored --nocapture`.
    #[test]
    #[ignore = "takes gigabytes, and is for release builds"]
    fn no_pause_at_ten_million_entries() {
        let mut table = SplitTable::default();
        let mut longest = std::time::Duration::ZERO;
        for number in 0..12_000_000_u64 {
            let (hash, entry) = (hash(number), Box::new(number));
            let started = std::time::Instant::now();
            table.put(hash, entry, |other| **other == number, |other| self::hash(**other));
            longest = longest.max(started.elapsed());
        }
        println!("the longest pause: {longest:?}");
        assert!(longest < std::time::Duration::from_millis(50), "{longest:?}");
    }
}
