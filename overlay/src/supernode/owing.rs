use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;

use credential::NodeId;

use crate::peer::SlotId;

/// How many copies may be owed.
const LIMIT: usize = 200_000;

/// Copies that other super nodes wait for. The record that most of them lack goes first, for it has the fewest copies;
/// among equals the one that has waited longest.
#[derive(Debug, Default)]
pub(super) struct Owed {
    to: BTreeMap<SlotId, (u64, BTreeSet<NodeId>)>,
    order: BTreeSet<(Reverse<usize>, u64, SlotId)>,
    copies: usize,
    next: u64,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.to.is_empty()
    }

    pub(super) fn push(&mut self, node: NodeId, slot: SlotId) {
        if self.copies >= LIMIT {
            return;
        }
        self.next += 1;
        let (since, nodes) = self.to.entry(slot).or_insert((self.next, BTreeSet::new()));
        let before = nodes.len();
        if nodes.insert(node) {
            self.copies += 1;
            self.order.remove(&(Reverse(before), *since, slot));
            self.order.insert((Reverse(before + 1), *since, slot));
        }
    }

    pub(super) fn pop(&mut self) -> Option<(NodeId, SlotId)> {
        let (Reverse(count), since, slot) = self.order.pop_first()?;
        let (_, nodes) = self.to.get_mut(&slot)?;
        let node = nodes.pop_first()?;
        self.copies -= 1;
        if nodes.is_empty() {
            self.to.remove(&slot);
        } else {
            self.order.insert((Reverse(count - 1), since, slot));
        }
        Some((node, slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_record_with_the_fewest_copies_goes_first() {
        let mut owed = Owed::default();
        let (node, slot) = (|n| NodeId([n; 20]), |n| SlotId([n; 20]));
        owed.push(node(1), slot(1));
        for n in 1..=3 {
            owed.push(node(n), slot(2));
            owed.push(node(n), slot(2));
        }
        for n in 1..=2 {
            owed.push(node(n), slot(3));
        }
        let order: Vec<SlotId> = core::iter::from_fn(|| owed.pop().map(|(_, slot)| slot)).collect();
        let expected = [2, 2, 3, 1, 2, 3].map(slot);
        assert_eq!(order, expected, "each copy once");
        assert!(owed.is_empty() && owed.order.is_empty() && owed.copies == 0);
    }
}
