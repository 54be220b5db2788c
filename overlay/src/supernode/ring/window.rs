//! The part of the ring that a member knows, when knowing all would cost it too much.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use credential::NodeId;

use super::{Member, Prefix, REPLICAS, Ring};
use crate::Key;

/// The smallest part that anybody may know, as a power of two.
pub(in crate::supernode) const FURTHEST: u8 = 40;
/// How many members that know all are known beside one's own part, and how many at least.
const GUIDES: usize = 32;
const FEWEST: usize = 4;

/// Places within the 2^reach-th part of the ring on either side of one; all of them, if `reach` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supernode) struct Window {
    pub(in crate::supernode) center: NodeId,
    pub(in crate::supernode) reach: u8,
}

impl Window {
    /// Who is nearer than this is inside, by the first 64 bits.
    fn span(self) -> u64 {
        1 << (64 - u32::from(self.reach.clamp(1, FURTHEST)))
    }

    pub(in crate::supernode) fn is_whole(self) -> bool {
        self.reach == 0
    }

    pub(in crate::supernode) fn covers(self, node: NodeId) -> bool {
        let (center, place) = (self.center.first_eight(), node.first_eight());
        let apart = center.wrapping_sub(place).min(place.wrapping_sub(center));
        self.is_whole() || apart < self.span()
    }

    /// Whether everybody from its center clockwise to a place is inside.
    pub(in crate::supernode) fn covers_onward(self, node: NodeId) -> bool {
        let (center, place) = (self.center.first_eight(), node.first_eight());
        self.is_whole() || place.wrapping_sub(center) < self.span()
    }

    /// The first place and the last one, clockwise.
    fn bounds(self) -> (NodeId, NodeId) {
        let (mut low, mut high) = ([0; 20], [0xff; 20]);
        let (center, side) = (self.center.first_eight(), self.span() - 1);
        low[..8].copy_from_slice(&center.wrapping_sub(side).to_be_bytes());
        high[..8].copy_from_slice(&center.wrapping_add(side).to_be_bytes());
        (NodeId(low), NodeId(high))
    }
}

/// Members that follow each other, clockwise.
#[derive(Debug, Clone, Copy)]
pub(in crate::supernode) struct Between<'a> {
    members: &'a [Arc<Member>],
    first: usize,
    count: usize,
}

impl<'a> Between<'a> {
    pub(in crate::supernode) fn len(self) -> usize {
        self.count
    }

    /// The member at one of their places.
    pub(in crate::supernode) fn at(self, place: usize) -> Option<&'a Arc<Member>> {
        let place = (self.first + place).checked_rem(self.members.len())?;
        self.members.get(place)
    }

    pub(in crate::supernode) fn iter(self) -> impl Iterator<Item = &'a Arc<Member>> {
        let (before, after) = self.members.split_at(self.first);
        after.iter().chain(before).take(self.count)
    }
}

impl Ring {
    /// The own part of the ring.
    pub(in crate::supernode) fn window(&self) -> Window {
        Window {
            center: self.own,
            reach: self.reach,
        }
    }

    pub(in crate::supernode) fn reach(&self) -> u8 {
        self.reach
    }

    pub(in crate::supernode) fn is_partial(&self) -> bool {
        self.reach > 0
    }

    /// Members inside a window.
    pub(in crate::supernode) fn within(
        &self,
        window: Window,
    ) -> impl Iterator<Item = &Arc<Member>> + Clone {
        let (low, high) = window.bounds();
        let first = self.first_from(low);
        let end = self.first_after(high);
        let parts = if window.is_whole() {
            [&self.members[..], &[]]
        } else if low <= high {
            [&self.members[first..end], &[]]
        } else {
            [&self.members[first..], &self.members[..end]]
        };
        parts.into_iter().flatten()
    }

    /// The hash over the members inside a window, as it was at a date.
    pub(in crate::supernode) fn hash_within(&self, window: Window, at: u64) -> u64 {
        if window.is_whole() && !self.is_partial() {
            return self.hash(at);
        }
        let later = self.changes.iter();
        let later = later.filter(|change| change.at > at && window.covers(change.node));
        let later = later.map(|change| change.hash);
        let members = self.within(window).map(|member| member.hash);
        members.chain(later).fold(0, |hash, one| hash ^ one)
    }

    /// One hash for each sixteenth of a part of the ring, of the members inside a window, as they were at a date.
    pub(in crate::supernode) fn hashes_within(
        &self,
        window: Window,
        prefix: Prefix,
        at: u64,
    ) -> [u64; 16] {
        let mut hashes = [0; 16];
        let members = self.inside_within(window, prefix);
        let members = members.map(|member| (member.node, member.hash));
        let later = self.changes.iter().filter(|change| {
            change.at > at && prefix.covers(change.node) && window.covers(change.node)
        });
        for (node, hash) in members.chain(later.map(|change| (change.node, change.hash))) {
            hashes[prefix.digit(node)] ^= hash;
        }
        hashes
    }

    /// The members of one part of the ring that are inside a window.
    pub(in crate::supernode) fn inside_within(
        &self,
        window: Window,
        prefix: Prefix,
    ) -> impl Iterator<Item = &Arc<Member>> {
        let inside = self.inside(prefix).iter();
        inside.filter(move |member| window.covers(member.node))
    }

    /// Whether the members that keep a key's records are certainly those that this table says.
    pub(in crate::supernode) fn knows(&self, key: Key) -> bool {
        let window = Window {
            reach: self.sure,
            ..self.window()
        };
        let covers = |node: NodeId| window.covers(node);
        window.is_whole() || covers(NodeId(key.0)) && self.replicas(key).into_iter().all(covers)
    }

    /// Members other than itself that know all.
    pub(in crate::supernode) fn guides(&self) -> impl Iterator<Item = NodeId> + Clone {
        let full = self.members.iter().filter(|member| member.reach() == 0);
        let full = full.map(|member| member.node);
        full.filter(|&node| node != self.own)
    }

    /// Whether a member belongs into this table: one that knows all also as a guide.
    pub(in crate::supernode) fn wants(&self, node: NodeId, reach: u8, most: usize) -> bool {
        let window = self.window();
        if window.covers(node) {
            return true;
        }
        let guide = self.member(node).is_some() || self.stray() < self.guides_wanted(most);
        reach == 0 && guide
    }

    /// How many members outside of its window it has room for.
    pub(in crate::supernode) fn guides_wanted(&self, most: usize) -> usize {
        let near = self.within(self.window()).count();
        most.saturating_sub(near).clamp(FEWEST, GUIDES)
    }

    /// How many members outside of its window it has.
    pub(in crate::supernode) fn stray(&self) -> usize {
        self.members.len() - self.within(self.window()).count()
    }

    /// Narrows or widens the window; returns who is in the table no more.
    pub(in crate::supernode) fn set_reach(&mut self, reach: u8, most: usize) -> BTreeSet<NodeId> {
        // What a wider window covers has yet to come.
        let wider = Window {
            reach,
            ..self.window()
        }
        .span()
            > self.window().span();
        if !(wider || reach == 0) || self.sure == 0 {
            self.sure = reach;
        }
        self.reach = reach;
        let window = self.window();
        let outside = |member: &&Arc<Member>| !window.covers(member.node);
        let mut strays: Vec<(bool, NodeId)> = self
            .members
            .iter()
            .filter(outside)
            .map(|member| (member.reach() != 0, member.node))
            .collect();
        // Ids are the authority's choice: by their last bits any few are a fair sample.
        strays.sort_unstable_by_key(|(partial, node)| (*partial, node.0[19], node.0[18]));
        let full = strays.iter().filter(|(partial, _)| !partial).count();
        let kept = self.guides_wanted(most).min(full);
        let dropped = strays.into_iter().skip(kept).map(|(_, node)| node);
        let dropped: BTreeSet<NodeId> = dropped.collect();
        let hash = &mut self.hash;
        self.members.retain(|member| {
            let drop = dropped.contains(&member.node);
            *hash ^= if drop { member.hash } else { 0 };
            !drop
        });
        dropped
    }

    /// What a wider window covers has come.
    pub(in crate::supernode) fn settle(&mut self) {
        self.sure = self.reach;
    }

    /// The members strictly between two places, clockwise; all, if the places are the same.
    pub(in crate::supernode) fn between(&self, after: NodeId, until: NodeId) -> Between<'_> {
        let (first, end) = (self.first_after(after), self.first_from(until));
        let count = if after < until {
            end.saturating_sub(first)
        } else {
            self.members.len() - first + end
        };
        Between {
            members: &self.members,
            first,
            count,
        }
    }

    /// Takes a member out that nothing is known against.
    pub(in crate::supernode) fn forget(&mut self, node: NodeId) -> bool {
        let Ok(place) = self.place(node) else {
            return false;
        };
        let member = self.members.remove(place);
        self.hash ^= member.hash;
        true
    }

    /// How many members there are in all, as far as that can be told from the part that is known.
    pub(in crate::supernode) fn estimate(&self) -> usize {
        match self.reach {
            0 => self.members.len(),
            reach => self.within(self.window()).count() << (reach - 1),
        }
    }

    /// Whether two places are as near as if so many members lay between them, by how dense the own part is.
    pub(in crate::supernode) fn seem_near(&self, one: NodeId, other: NodeId, count: u64) -> bool {
        let window = self.window();
        let members = self.within(window).count().max(REPLICAS) as u64;
        let spacing = window.span() / members * 2;
        let (one, other) = (one.first_eight(), other.first_eight());
        let apart = one.wrapping_sub(other).min(other.wrapping_sub(one));
        apart / count <= 2 * spacing
    }
}
