//! A check for linearizability: whether a concurrent history can be explained by a sequence of its operations in which
//! each takes effect between its call and its return.
//!
//! The search is Wing and Gong's ("Testing and Verifying Concurrent Objects", 1993) with the cache of Lowe ("Testing
//! for Linearizability", 2017): a set of operations that led to a state before is not searched again.

use std::collections::HashSet;
use std::hash::Hash;

/// The sequential behaviour of an object.
pub trait Model {
    /// The state of the object.
    type State: Clone + Eq + Hash;
    /// An operation and, if it is known, its answer.
    type Operation;

    /// The state after an operation; `None` when it cannot have given its answer.
    fn apply(state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;
}

/// One operation of a history, with times from one clock that never repeats a time.
#[derive(Debug, Clone)]
pub struct Event<O> {
    pub operation: O,
    pub called: u64,
    /// `None` when the answer was lost: the operation took effect at any time after the call, or never.
    pub returned: Option<u64>,
}

/// True when a history is linearizable.
pub fn is_linearizable<M: Model>(initial: M::State, history: &[Event<M::Operation>]) -> bool {
    let mut order: Vec<_> = history.iter().collect();
    order.sort_by_key(|event| event.called);
    let mut seen = HashSet::new();
    let mut pending = vec![(Done::new(order.len()), initial)];
    while let Some((done, state)) = pending.pop() {
        let open = || order.iter().enumerate().skip(done.complete_up_to()).filter(|(index, _)| !done.contains(*index));
        let Some(first_return) = open().filter_map(|(_, event)| event.returned).min() else {
            return true;
        };
        for (index, event) in open().take_while(|(_, event)| event.called < first_return) {
            if let Some(next) = M::apply(&state, &event.operation) {
                let done = done.with(index);
                if seen.insert((done.clone(), next.clone())) {
                    pending.push((done, next));
                }
            }
        }
    }
    false
}

/// A set of operations by their index.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn new(operations: usize) -> Self {
        Done(vec![0; operations.div_ceil(64)])
    }

    fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    fn with(&self, index: usize) -> Self {
        let mut more = self.clone();
        more.0[index / 64] |= 1 << (index % 64);
        more
    }

    /// Everything below this is in the set.
    fn complete_up_to(&self) -> usize {
        self.0.iter().take_while(|word| **word == u64::MAX).count() * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is written and read.
    struct Register;

    enum Access {
        Write(u32),
        Read(u32),
    }
    use Access::{Read, Write};

    impl Model for Register {
        type State = u32;
        type Operation = Access;

        fn apply(state: &u32, operation: &Access) -> Option<u32> {
            match operation {
                Write(value) => Some(*value),
                Read(value) => (value == state).then_some(*state),
            }
        }
    }

    fn check(history: Vec<(Access, u64, Option<u64>)>) -> bool {
        let event = |(operation, called, returned)| Event { operation, called, returned };
        is_linearizable::<Register>(0, &history.into_iter().map(event).collect::<Vec<_>>())
    }

    #[test]
    fn overlapping_operations_may_take_effect_in_any_order() {
        assert!(check(vec![]));
        assert!(check(vec![(Write(1), 1, Some(4)), (Read(0), 2, Some(3))]));
        assert!(check(vec![(Write(1), 1, Some(4)), (Read(1), 2, Some(3))]));
        assert!(check(vec![(Write(1), 1, Some(6)), (Write(2), 2, Some(5)), (Read(1), 7, Some(8))]));
    }

    #[test]
    fn what_has_returned_is_seen_by_what_is_called_later() {
        assert!(!check(vec![(Write(1), 1, Some(2)), (Read(0), 3, Some(4))]));
        assert!(!check(vec![(Write(1), 1, Some(6)), (Read(1), 2, Some(3)), (Read(0), 4, Some(5))]));
        assert!(!check(vec![(Read(1), 1, Some(2)), (Write(1), 3, Some(4))]));
    }

    #[test]
    fn a_lost_answer_leaves_open_whether_and_when() {
        assert!(check(vec![(Write(1), 1, None), (Read(0), 2, Some(3))]));
        assert!(check(vec![(Write(1), 1, None), (Read(0), 2, Some(3)), (Read(1), 4, Some(5))]));
        assert!(!check(vec![(Write(1), 1, None), (Read(1), 2, Some(3)), (Read(0), 4, Some(5))]));
        assert!(!check(vec![(Write(1), 4, None), (Read(1), 2, Some(3))]));
    }

    #[test]
    fn histories_longer_than_a_word_are_checked_to_their_end() {
        let history = |last: u32| {
            let mut history: Vec<_> = (0..200).map(|n| (Write(n as u32), 2 * n, Some(2 * n + 1))).collect();
            history.push((Read(last), 1_000, Some(1_001)));
            history
        };
        assert!(check(history(199)));
        assert!(!check(history(198)));
    }
}
