//! What a shopper knows about its cart: the lines that the acknowledged changes add up to, and what a cart that differs
//! says about the store. Pure rules.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::money::Money;

/// The acknowledged changes that are remembered. A store that loses more at a time is told to have lost these.
const REMEMBERED_CHANGES: usize = 32;

/// A line of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// How many.
    pub count: u32,
    /// The price of one.
    pub price: Money,
}

/// The lines of a cart by item.
pub type Lines = BTreeMap<String, Line>;

/// A change of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds to a line, and replaces its price.
    Add {
        /// The item.
        item: String,
        /// How many more, and at which price.
        line: Line,
    },
    /// Sets the count of a line that is there; 0 removes it.
    Set {
        /// The item.
        item: String,
        /// How many from now on.
        count: u32,
    },
    /// Removes a line.
    Remove {
        /// The item.
        item: String,
    },
    /// Takes every line out, as an order does.
    Take,
}

impl Change {
    fn apply(&self, lines: &mut Lines) {
        match self {
            Change::Add { item, line } => {
                let kept = lines.entry(item.clone()).or_insert(Line { count: 0, price: line.price });
                *kept = Line { count: kept.count + line.count, price: line.price };
            }
            Change::Set { item, count: 0 } | Change::Remove { item } => drop(lines.remove(item)),
            Change::Set { item, count } => {
                if let Some(line) = lines.get_mut(item) {
                    line.count = *count;
                }
            }
            Change::Take => lines.clear(),
        }
    }
}

/// How a cart differs from what was acknowledged, in changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Difference {
    /// Acknowledged changes that are not there.
    pub lost: u64,
    /// Changes that took effect more than once.
    pub applied_twice: u64,
}

/// A cart as its shopper knows it: some state, and the acknowledged changes since.
#[derive(Debug, Clone, Default)]
pub struct KnownCart {
    base: Lines,
    changes: VecDeque<Change>,
    lines: Lines,
}

impl KnownCart {
    /// The lines that the store must have.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Notes an acknowledged change.
    pub fn acknowledge(&mut self, change: Change) {
        change.apply(&mut self.lines);
        self.changes.push_back(change);
        if self.changes.len() > REMEMBERED_CHANGES
            && let Some(oldest) = self.changes.pop_front()
        {
            oldest.apply(&mut self.base);
        }
    }

    /// Compares the cart with what the store has, and goes on from what the store has, so that one fault counts once.
    pub fn reconcile(&mut self, actual: &Lines) -> Difference {
        if *actual == self.lines {
            return Difference::default();
        }
        let difference = self.explain(actual);
        *self = KnownCart { base: actual.clone(), changes: VecDeque::new(), lines: actual.clone() };
        difference
    }

    /// Finds the simplest fault that leads to these lines: the newest changes are gone, or one of them is, or one took
    /// effect twice. Otherwise each line counts for itself.
    fn explain(&self, actual: &Lines) -> Difference {
        let count = self.changes.len();
        let is_prefix = |length: &usize| self.replay(|number| usize::from(number < *length)) == *actual;
        if let Some(length) = (0..count).rev().find(is_prefix) {
            return Difference { lost: (count - length) as u64, applied_twice: 0 };
        }
        if (0..count).any(|gone| self.replay(|number| usize::from(number != gone)) == *actual) {
            return Difference { lost: 1, applied_twice: 0 };
        }
        if (0..count).any(|twice| self.replay(|number| 1 + usize::from(number == twice)) == *actual) {
            return Difference { lost: 0, applied_twice: 1 };
        }
        let mut difference = Difference::default();
        for item in self.lines.keys().chain(actual.keys().filter(|item| !self.lines.contains_key(*item))) {
            match (self.lines.get(item), actual.get(item)) {
                (known, found) if known == found => {}
                (Some(known), Some(found)) if found.count > known.count => difference.applied_twice += 1,
                // A line that was removed and is there again has lost its removal.
                _ => difference.lost += 1,
            }
        }
        difference
    }

    /// The lines after the remembered changes, each applied so many times.
    fn replay(&self, times: impl Fn(usize) -> usize) -> Lines {
        let mut lines = self.base.clone();
        for (number, change) in self.changes.iter().enumerate() {
            (0..times(number)).for_each(|_| change.apply(&mut lines));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn any_change() -> impl Strategy<Value = Change> {
        let item = || (0..4_u8).prop_map(|number| format!("item-{number}"));
        let price = (1..1_000_u64).prop_map(|hundredths| Money::from_hundredths(hundredths).unwrap());
        prop_oneof![
            4 => (item(), 1..5_u32, price).prop_map(|(item, count, price)| Change::Add { item, line: Line { count, price } }),
            2 => (item(), 0..5_u32).prop_map(|(item, count)| Change::Set { item, count }),
            1 => item().prop_map(|item| Change::Remove { item }),
            1 => Just(Change::Take),
        ]
    }

    fn known(changes: &[Change]) -> KnownCart {
        let mut cart = KnownCart::default();
        changes.iter().for_each(|change| cart.acknowledge(change.clone()));
        cart
    }

    /// A store that applies each change so many times.
    fn store(changes: &[Change], times: impl Fn(usize) -> usize) -> Lines {
        let mut lines = Lines::new();
        for (number, change) in changes.iter().enumerate() {
            (0..times(number)).for_each(|_| change.apply(&mut lines));
        }
        lines
    }

    proptest! {
        #[test]
        fn a_true_store_differs_in_nothing(changes in vec(any_change(), 0..80)) {
            let mut cart = known(&changes);
            prop_assert_eq!(cart.reconcile(&store(&changes, |_| 1)), Difference::default());
        }

        #[test]
        fn a_change_that_is_lost_is_found_wherever_it_can_be_seen(
            changes in vec(any_change(), 1..REMEMBERED_CHANGES), at: prop::sample::Index,
        ) {
            let gone = at.index(changes.len());
            let mut cart = known(&changes);
            let actual = store(&changes, |number| usize::from(number != gone));
            let is_visible = actual != *cart.lines();
            let found = cart.reconcile(&actual);
            prop_assert_eq!(found.lost > 0, is_visible, "{:?}", found);
            prop_assert_eq!(cart.reconcile(&actual), Difference::default(), "it counts once");
        }

        #[test]
        fn the_newest_changes_that_are_lost_are_counted(changes in vec(any_change(), 1..100), gone in 1..10_usize) {
            let kept = changes.len().saturating_sub(gone);
            let mut cart = known(&changes);
            let actual = store(&changes, |number| usize::from(number < kept));
            let is_visible = actual != *cart.lines();
            let found = cart.reconcile(&actual);
            prop_assert_eq!(found.lost > 0, is_visible, "{:?}", found);
            prop_assert!(found.lost <= gone as u64, "no more than were: {:?}", found);
            prop_assert_eq!(found.applied_twice, 0);
        }

        #[test]
        fn a_change_that_is_applied_twice_is_found_wherever_it_can_be_seen(
            changes in vec(any_change(), 1..100), at: prop::sample::Index,
        ) {
            let twice = at.index(changes.len());
            let mut cart = known(&changes);
            let actual = store(&changes, |number| 1 + usize::from(number == twice));
            let is_visible = actual != *cart.lines();
            let found = cart.reconcile(&actual);
            prop_assert_eq!(found != Difference::default(), is_visible, "{:?}", found);
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let price = Money::from_hundredths(1_210).unwrap();
        let add = |item: &str, count| Change::Add { item: item.into(), line: Line { count, price } };
        let changes = [add("tea", 1), add("milk", 2), Change::Remove { item: "tea".into() }, add("milk", 4)];
        let differs = |times: [usize; 4]| known(&changes).reconcile(&store(&changes, |number| times[number]));
        let lost = |lost| Difference { lost, applied_twice: 0 };
        assert_eq!(differs([1, 1, 1, 1]), lost(0));
        assert_eq!(differs([1, 1, 1, 0]), lost(1));
        assert_eq!(differs([1, 1, 0, 0]), lost(2));
        assert_eq!(differs([1, 1, 0, 1]), lost(1), "a removal");
        assert_eq!(differs([1, 1, 1, 2]), Difference { lost: 0, applied_twice: 1 });
        assert_eq!(known(&changes).reconcile(&Lines::new()), lost(4), "everything");
        let odd =
            Lines::from([("milk".to_owned(), Line { count: 60, price }), ("salt".into(), Line { count: 1, price })]);
        assert_eq!(known(&changes).reconcile(&odd), Difference { lost: 1, applied_twice: 1 });
    }
}
