//! The load of each slot: the requests of the last minute, and the records. Shards count requests from their start, so the
//! minute is made of the differences between two counts.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::protocol::ShardStatus;
use crate::routing::SLOTS;

/// The time between two counts, in seconds, and so many are a minute. A table of 16,384 counts takes 64 KB: 0.9 MB in all.
pub const PERIOD_SECONDS: u64 = 5;
const PERIODS: usize = 12;
const MINUTE_SECONDS: u64 = PERIOD_SECONDS * PERIODS as u64;

/// A number for each slot.
type Table = Box<[u32]>;

fn table() -> Table {
    vec![0; usize::from(SLOTS)].into_boxed_slice()
}

/// What a shard said last.
#[derive(Debug)]
struct Counted {
    uptime: Duration,
    requests: Vec<u32>,
}

/// The load of all slots over the last minute.
#[derive(Debug)]
pub struct SlotWindow {
    last: Vec<Option<Counted>>,
    /// The requests of each of the last periods, the newest last.
    periods: VecDeque<Table>,
    minute: Table,
    records: Table,
}

/// The load of all slots at one moment.
#[derive(Debug)]
pub struct SlotLoads {
    snapshot: u64,
    requests: Table,
    records: Table,
    json: OnceLock<Bytes>,
}

/// The slots as the API's JSON.
#[derive(Serialize)]
struct View<'a> {
    snapshot: u64,
    interval_s: u64,
    slots: u16,
    requests: &'a [u32],
    records: &'a [u32],
}

impl SlotWindow {
    /// Makes a window in which nothing was counted yet.
    pub fn of_shards(shards: usize) -> Self {
        let last = (0..shards).map(|_| None).collect();
        SlotWindow { last, periods: VecDeque::new(), minute: table(), records: table() }
    }

    /// Ends a period with what the shards say. Of one that does not answer, its last records stay.
    pub fn add(&mut self, snapshot: u64, shards: &[Option<&ShardStatus>]) -> SlotLoads {
        let mut period = table();
        for (status, last) in shards.iter().zip(&mut self.last) {
            let Some((status, load)) = status.and_then(|status| Some((status, status.slot_load.as_ref()?))) else {
                continue;
            };
            let slots = status.slots.iter().cloned().flatten().map(usize::from);
            for (index, slot) in slots.enumerate() {
                let (Some(requests), Some(records)) = (load.requests.get(index), load.records.get(index)) else {
                    break;
                };
                period[slot] = since(last.as_ref(), status.uptime, index, *requests);
                self.records[slot] = *records;
            }
            *last = Some(Counted { uptime: status.uptime, requests: load.requests.clone() });
        }
        self.minute.iter_mut().zip(&period).for_each(|(sum, more)| *sum += more);
        self.periods.push_back(period);
        if self.periods.len() > PERIODS
            && let Some(oldest) = self.periods.pop_front()
        {
            self.minute.iter_mut().zip(&oldest).for_each(|(sum, less)| *sum -= less);
        }
        SlotLoads { snapshot, requests: self.minute.clone(), records: self.records.clone(), json: OnceLock::new() }
    }
}

/// The requests of a slot since the last count. What a shard counted before it was first asked is not of the last minute,
/// unless it has just begun.
fn since(last: Option<&Counted>, uptime: Duration, index: usize, requests: u32) -> u32 {
    match last {
        // A count that is smaller than the last one began anew, at a restart that the uptime does not tell, or past its end.
        Some(last) if last.uptime <= uptime => {
            requests.checked_sub(last.requests.get(index).copied().unwrap_or(requests)).unwrap_or(requests)
        }
        None if uptime.as_secs() > PERIOD_SECONDS => 0,
        Some(_) | None => requests,
    }
}

impl SlotLoads {
    /// The load as JSON.
    pub fn json(&self) -> Bytes {
        let SlotLoads { snapshot, requests, records, json } = self;
        let view = View { snapshot: *snapshot, interval_s: MINUTE_SECONDS, slots: SLOTS, requests, records };
        json.get_or_init(|| serde_json::to_vec(&view).expect("numbers are always JSON").into()).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SlotLoad;

    /// A shard with the first three slots, up for so many seconds.
    fn shard(uptime: u64, requests: [u32; 3]) -> ShardStatus {
        let load = SlotLoad { requests: requests.to_vec(), records: vec![7, 8, 9] };
        ShardStatus {
            uptime: Duration::from_secs(uptime),
            slots: vec![0..=2],
            slot_load: Some(load),
            ..ShardStatus::sample(0)
        }
    }

    fn minute(window: &mut SlotWindow, status: Option<&ShardStatus>) -> [u32; 3] {
        let loads = window.add(1, &[status]);
        assert_eq!(loads.records[..4], [7, 8, 9, 0]);
        [loads.requests[0], loads.requests[1], loads.requests[2]]
    }

    #[test]
    fn requests_of_the_last_minute_count() {
        let mut window = SlotWindow::of_shards(1);
        assert_eq!(minute(&mut window, Some(&shard(100, [50, 60, 70]))), [0, 0, 0], "when they came is not known");
        assert_eq!(minute(&mut window, Some(&shard(105, [51, 62, 70]))), [1, 2, 0]);
        assert_eq!(minute(&mut window, None), [1, 2, 0]);
        assert_eq!(minute(&mut window, Some(&shard(3, [4, 0, 0]))), [5, 2, 0], "it has begun anew");
        for period in 0..PERIODS - 3 {
            assert_eq!(minute(&mut window, Some(&shard(8 + 5 * period as u64, [4, 0, 0]))), [5, 2, 0]);
        }
        assert_eq!(minute(&mut window, Some(&shard(100, [4, 0, 1]))), [4, 0, 1]);
    }

    #[test]
    fn a_new_shard_and_a_full_counter_are_understood() {
        let mut window = SlotWindow::of_shards(1);
        assert_eq!(minute(&mut window, Some(&shard(2, [3, u32::MAX, 0]))), [3, u32::MAX, 0]);
        let mut window = SlotWindow::of_shards(1);
        minute(&mut window, Some(&shard(100, [u32::MAX, 0, 0])));
        assert_eq!(minute(&mut window, Some(&shard(105, [1, 0, 0]))), [1, 0, 0]);
    }

    #[test]
    fn a_restart_that_the_uptime_does_not_tell_gives_no_absurd_count() {
        let mut window = SlotWindow::of_shards(1);
        minute(&mut window, Some(&shard(1, [900, 2, 0])));
        assert_eq!(minute(&mut window, Some(&shard(3, [4, 5, 0]))), [904, 5, 0]);
    }
}
