//! The ordered ids of a shard's products: of all products, of those with an ISBN, and of each topic.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::domain::product::{Details, fold_topic};
use crate::protocol::Filter;
use crate::routing::ProductId;

type Ids = BTreeSet<Arc<str>>;

/// The ids of a shard's products. The lists share the text of each id.
#[derive(Default)]
pub struct ProductIndex {
    all: Ids,
    books: Ids,
    /// The ids by folded topic. A tree, since each product may have one of its own: a hash table of so many stops the shard
    /// while it grows.
    topics: BTreeMap<String, Ids>,
}

impl ProductIndex {
    /// Adds a product.
    pub fn insert(&mut self, id: &ProductId, details: &Details) {
        let id: Arc<str> = id.as_str().into();
        if let Some(topic) = &details.topic {
            self.topics.entry(fold_topic(topic)).or_default().insert(id.clone());
        }
        if details.has_isbn {
            self.books.insert(id.clone());
        }
        self.all.insert(id);
    }

    /// Removes a product.
    pub fn remove(&mut self, id: &ProductId, details: &Details) {
        self.all.remove(id.as_str());
        self.books.remove(id.as_str());
        let Some(topic) = details.topic.as_deref().map(fold_topic) else { return };
        let Some(ids) = self.topics.get_mut(&topic) else { return };
        ids.remove(id.as_str());
        if ids.is_empty() {
            self.topics.remove(&topic);
        }
    }

    /// The ids of a list, in order, that come after `after`.
    pub fn list<'a>(&'a self, filter: &Filter, after: Option<&'a str>) -> impl Iterator<Item = Arc<str>> + 'a {
        let ids = match filter {
            Filter::All => Some(&self.all),
            Filter::Books => Some(&self.books),
            Filter::Topic(topic) => self.topics.get(topic),
        };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        ids.into_iter().flat_map(move |ids| ids.range::<str, _>((after, Bound::Unbounded)).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    #[test]
    fn lists_are_ordered_and_follow_changes() {
        let id = |text: &str| ProductId::new(text).unwrap();
        let details = |topic: Option<&str>, has_isbn| Details {
            title: "T".into(),
            author: None,
            topic: topic.map(str::to_owned),
            has_isbn,
            price: Money::default(),
        };
        let mut index = ProductIndex::default();
        index.insert(&id("b"), &details(Some("Systems"), true));
        index.insert(&id("a"), &details(Some("SYSTEMS"), false));
        index.insert(&id("é"), &details(None, true));
        let list = |index: &ProductIndex, filter: &Filter, after| {
            index.list(filter, after).map(|id| id.to_string()).collect::<Vec<_>>()
        };
        let systems = Filter::Topic(fold_topic("sYstems"));
        assert_eq!(list(&index, &Filter::All, None), ["a", "b", "é"]);
        assert_eq!(list(&index, &Filter::Books, Some("a")), ["b", "é"]);
        assert_eq!(list(&index, &systems, None), ["a", "b"]);
        assert_eq!(list(&index, &systems, Some("a")), ["b"]);
        index.remove(&id("a"), &details(Some("Systems"), false));
        index.remove(&id("b"), &details(Some("Systems"), true));
        assert!(list(&index, &systems, None).is_empty() && index.topics.is_empty());
        assert_eq!(list(&index, &Filter::All, None), ["é"]);
    }
}
