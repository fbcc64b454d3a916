//! The table of the shard that owns each slot. It is explicit and versioned: with `hash mod N`, a change of N would
//! move nearly every record.

use std::ops::RangeInclusive;

use super::hash::{KeyHash, SLOTS, Slot};
use crate::error::{Error, Invalid, Result};

/// The most shards of one store.
pub const MAX_SHARDS: u32 = 1_024;
/// The version of the table that a new store begins with.
pub const FIRST_TABLE_VERSION: u64 = 1;

/// The owner of every slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTable {
    version: u64,
    shards: u32,
    owners: Vec<u32>,
}

impl SlotTable {
    /// The table that a new store begins with: contiguous ranges of nearly equal length.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless there are 1 to [`MAX_SHARDS`] shards.
    pub fn initial(shards: u32) -> Result<Self> {
        if shards == 0 || shards > MAX_SHARDS {
            return Err(Error::invalid("shards", format!("{shards}, must be 1 to {MAX_SHARDS}")));
        }
        let ranges: Vec<_> = (0..shards).map(|shard| (shard, initial_range(shard, shards))).collect();
        Self::from_ranges(FIRST_TABLE_VERSION, shards, &ranges)
    }

    /// Makes a table from the ranges that the shards report.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless each slot has exactly one owner.
    pub fn from_ranges(version: u64, shards: u32, ranges: &[(u32, RangeInclusive<u16>)]) -> Result<Self> {
        let mut owners = vec![None; usize::from(SLOTS)];
        for (shard, range) in ranges {
            for slot in range.clone() {
                let owner = owners.get_mut(usize::from(slot));
                let owner =
                    owner.ok_or_else(|| Error::Invalid(Invalid::general(format!("slot {slot} does not exist"))))?;
                if let Some(other) = owner.replace(*shard) {
                    return Err(Invalid::general(format!("slot {slot} belongs to shards {other} and {shard}")).into());
                }
            }
        }
        let missing = owners.iter().position(Option::is_none);
        if let Some(slot) = missing {
            return Err(Invalid::general(format!("slot {slot} belongs to no shard")).into());
        }
        Ok(SlotTable { version, shards, owners: owners.into_iter().flatten().collect() })
    }

    /// The shard that owns a hash.
    pub fn owner(&self, hash: KeyHash) -> u32 {
        let Slot(slot) = hash.slot();
        self.owners[usize::from(slot)]
    }

    /// The table's version, which grows with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number of shards.
    pub fn shards(&self) -> u32 {
        self.shards
    }
}

/// The slots of one shard in the table that a new store begins with.
pub fn initial_range(shard: u32, shards: u32) -> RangeInclusive<u16> {
    let start = |shard: u32| (u64::from(SLOTS) * u64::from(shard) / u64::from(shards)) as u16;
    start(shard)..=start(shard + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_one_owner_and_runs_are_nearly_equal() {
        for shards in [1, 2, 3, 4, 7, 64, MAX_SHARDS] {
            let table = SlotTable::initial(shards).unwrap();
            let mut counts = vec![0_u32; shards as usize];
            for slot in 0..u64::from(SLOTS) {
                counts[table.owner(KeyHash::from_bits(slot << 49)) as usize] += 1;
            }
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1 && *least > 0, "{shards} shards: {least} to {most}");
        }
        assert!(SlotTable::initial(0).is_err());
        assert!(SlotTable::initial(MAX_SHARDS + 1).is_err());
    }

    #[test]
    fn gaps_and_overlaps_are_refused() {
        let last = SLOTS - 1;
        assert!(SlotTable::from_ranges(2, 2, &[(0, 0..=9), (1, 10..=last)]).is_ok());
        assert!(SlotTable::from_ranges(2, 2, &[(0, 0..=9), (1, 11..=last)]).is_err());
        assert!(SlotTable::from_ranges(2, 2, &[(0, 0..=10), (1, 10..=last)]).is_err());
        assert!(SlotTable::from_ranges(2, 1, &[(0, 0..=SLOTS)]).is_err());
    }
}
