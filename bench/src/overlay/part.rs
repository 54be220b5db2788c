//! Rings in which most members know a part, and some all.

use std::sync::Arc;

use credential::NodeId;
use overlay::{Limits, Member};

use super::chance::Chance;

/// How many members know all, about, where most know a part.
const FULL: u64 = 64;
/// How many of these each of the others knows besides its part.
const GUIDES: usize = 32;

/// Who knows how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Entries of a table, about; none where all know all.
    table: Option<usize>,
    /// What members with such a table say of themselves, and every how many of them one knows all.
    reach: u8,
    step: u64,
}

impl Part {
    pub(super) fn new(members: usize, table: Option<usize>) -> Self {
        let fits = |reach: &u8| table.is_none_or(|table| members >> (reach - 1) <= table);
        Self {
            table,
            reach: (2..32).find(fits).unwrap_or(2),
            step: (members as u64 / FULL).max(2),
        }
    }

    /// How far the member with this number reaches. The first ones, who look records up, know a part.
    pub(super) fn reach(self, number: u64) -> u8 {
        let knows_all = self.table.is_none() || number % self.step == self.step - 1;
        if knows_all { 0 } else { self.reach }
    }

    pub(super) fn limits(self, number: u64) -> Limits {
        let all = Limits::default();
        match self.table {
            Some(table) if self.reach(number) > 0 => Limits { table, ..all },
            Some(_) | None => all,
        }
    }

    /// What a member knows of a ring that is sorted by id, and in which these know all.
    pub(super) fn known(
        self,
        ring: &[Arc<Member>],
        guides: &[Arc<Member>],
        own: &Member,
        chance: &mut Chance,
    ) -> Vec<Arc<Member>> {
        let (node, reach) = (own.node(), own.reach());
        if reach == 0 {
            return ring.to_vec();
        }
        let side = (1 << (64 - reach)) - 1;
        let (low, high) = (
            place(node).wrapping_sub(side),
            place(node).wrapping_add(side),
        );
        let first = ring.partition_point(|member| place(member.node()) < low);
        let end = ring.partition_point(|member| place(member.node()) <= high);
        let mut known = if low <= high {
            ring[first..end].to_vec()
        } else {
            [&ring[..end], &ring[first..]].concat()
        };
        let first = chance.below(guides.len().max(1));
        let some = guides.iter().cycle().skip(first);
        let some = some.take(GUIDES.min(guides.len()));
        let far = some.filter(|member| !is_inside(node, reach, member.node()));
        known.extend(far.cloned());
        known
    }
}

/// Whether a member that reaches so far knows another.
pub(super) fn is_inside(own: NodeId, reach: u8, other: NodeId) -> bool {
    let apart = place(own).wrapping_sub(place(other));
    reach == 0 || apart.min(apart.wrapping_neg()) < 1 << (64 - reach)
}

fn place(node: NodeId) -> u64 {
    let bytes = node.0.iter().take(8);
    bytes.fold(0, |place, byte| place << 8 | u64::from(*byte))
}
