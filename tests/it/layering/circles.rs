//! Cycles of a graph: its strongly connected components of more than one node (Tarjan, "Depth-First Search and Linear
//! Graph Algorithms", 1972).

use std::collections::{BTreeMap, BTreeSet};

struct Search<'a, N> {
    graph: &'a BTreeMap<N, BTreeSet<N>>,
    /// The number of each node, and the least number that is reached from it.
    numbers: BTreeMap<&'a N, (usize, usize)>,
    stack: Vec<&'a N>,
    circles: Vec<Vec<N>>,
}

/// Finds all cycles of a graph.
pub fn circles<N: Ord + Clone>(graph: &BTreeMap<N, BTreeSet<N>>) -> Vec<Vec<N>> {
    let mut search = Search { graph, numbers: BTreeMap::new(), stack: Vec::new(), circles: Vec::new() };
    for node in graph.keys() {
        if !search.numbers.contains_key(node) {
            search.visit(node);
        }
    }
    search.circles
}

impl<'a, N: Ord + Clone> Search<'a, N> {
    fn visit(&mut self, node: &'a N) -> usize {
        let number = self.numbers.len();
        self.numbers.insert(node, (number, number));
        self.stack.push(node);
        let mut least = number;
        for next in self.graph.get(node).into_iter().flatten() {
            let reached = match self.numbers.get(next) {
                None => self.visit(next),
                Some((number, _)) if self.stack.contains(&next) => *number,
                Some(_) => continue,
            };
            least = least.min(reached);
        }
        self.numbers.insert(node, (number, least));
        if least == number {
            let start = self.stack.iter().position(|other| *other == node).expect("the node is on the stack");
            let component = self.stack.split_off(start);
            if component.len() > 1 {
                self.circles.push(component.into_iter().cloned().collect());
            }
        }
        least
    }
}
