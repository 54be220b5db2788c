//! The table of members and what follows from it: who is responsible for which key.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{NodeId, Serial};
use machine::Instant;

use crate::Key;
use crate::key::sha1;
use crate::peer::Announcement;

/// How many super nodes keep a record, as far as there are so many.
pub(super) const REPLICAS: usize = 5;
/// How long a lost member is remembered and tried.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// A member of the ring.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) announcement: Announcement,
    pub(super) serial: Serial,
    /// When it was taken in.
    pub(super) since: Instant,
}

/// A member that was lost or has left: remembered, so that an old announcement doesn't bring it back.
#[derive(Debug)]
struct Former {
    member: Member,
    since: Instant,
    left: bool,
}

#[derive(Debug)]
pub(super) struct Ring {
    own: NodeId,
    /// Itself included, once it has joined.
    members: BTreeMap<NodeId, Member>,
    former: BTreeMap<NodeId, Former>,
}

impl Ring {
    pub(super) const fn new(own: NodeId) -> Self {
        Self {
            own,
            members: BTreeMap::new(),
            former: BTreeMap::new(),
        }
    }

    pub(super) fn members(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Member)> + Clone {
        self.members.iter().map(|(&node, member)| (node, member))
    }

    pub(super) fn others(&self) -> impl DoubleEndedIterator<Item = NodeId> + Clone {
        let nodes = self.members.keys().copied();
        nodes.filter(|&node| node != self.own)
    }

    pub(super) fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    pub(super) fn former(&self, node: NodeId) -> Option<&Member> {
        self.former.get(&node).map(|former| &former.member)
    }

    /// Former members that did not leave by themselves; they may come back.
    pub(super) fn lost(&self) -> impl Iterator<Item = NodeId> {
        let lost = self.former.iter().filter(|(_, former)| !former.left);
        lost.map(|(&node, _)| node)
    }

    /// When the latest word of a node came.
    pub(super) fn heard_of(&self, node: NodeId) -> Option<Instant> {
        let member = self.member(node).or_else(|| self.former(node))?;
        Some(member.since)
    }

    /// The latest word known of a node.
    pub(super) fn incarnation(&self, node: NodeId) -> Option<u64> {
        let member = self.member(node).or_else(|| self.former(node))?;
        Some(member.announcement.about.incarnation)
    }

    pub(super) fn insert(&mut self, node: NodeId, member: Member) {
        self.former.remove(&node);
        self.members.insert(node, member);
    }

    /// Takes a member out; true if it was one.
    pub(super) fn lose(&mut self, node: NodeId, now: Instant) -> bool {
        let Some(member) = self.members.remove(&node) else {
            return false;
        };
        let former = Former {
            member,
            since: now,
            left: false,
        };
        self.former.insert(node, former);
        true
    }

    /// Remembers that a node has left; true if it was a member.
    pub(super) fn leave(&mut self, node: NodeId, member: Member, now: Instant) -> bool {
        let was = self.members.remove(&node).is_some();
        let former = Former {
            member,
            since: now,
            left: true,
        };
        self.former.insert(node, former);
        was
    }

    /// A lost member has been reached: it is one again.
    pub(super) fn revive(&mut self, node: NodeId) -> bool {
        match self.former.remove(&node) {
            Some(former) if !former.left => {
                self.members.insert(node, former.member);
                true
            }
            Some(former) => {
                self.former.insert(node, former);
                false
            }
            None => false,
        }
    }

    pub(super) fn forget_old(&mut self, now: Instant) {
        self.former
            .retain(|_, former| now - former.since < REMEMBERED);
    }

    /// Members from a place on, clockwise.
    fn from(&self, key: Key) -> impl Iterator<Item = NodeId> {
        let key = NodeId(key.0);
        let after = self.members.range(key..);
        let before = self.members.range(..key);
        after.chain(before).map(|(&node, _)| node)
    }

    /// The super nodes that keep a key's records: the first members from the key on, clockwise.
    pub(super) fn replicas(&self, key: Key) -> Vec<NodeId> {
        self.from(key).take(REPLICAS).collect()
    }

    pub(super) fn is_replica(&self, node: NodeId, key: Key) -> bool {
        self.from(key).take(REPLICAS).any(|replica| replica == node)
    }

    /// Whether a node is near enough to a key that another table may hold it responsible.
    pub(super) fn is_near(&self, node: NodeId, key: Key) -> bool {
        self.from(key)
            .take(2 * REPLICAS)
            .any(|replica| replica == node)
    }

    /// Members that follow a node, nearest first, itself left out.
    pub(super) fn successors(&self, node: NodeId, count: usize) -> Vec<NodeId> {
        let others = self.from(node.into()).filter(|&other| other != node);
        others.take(count).collect()
    }

    /// Members that precede a node, nearest first, itself left out.
    pub(super) fn predecessors(&self, node: NodeId, count: usize) -> Vec<NodeId> {
        let before = self.members.range(..node).rev();
        let after = self.members.range(node..).rev();
        let nodes = before.chain(after).map(|(&other, _)| other);
        nodes.filter(|&other| other != node).take(count).collect()
    }

    /// The arc of keys that a node keeps, or will when it has joined: (after, last].
    pub(super) fn arc(&self, node: NodeId) -> (Key, Key) {
        let before = self.predecessors(node, REPLICAS);
        let after = match before.last() {
            Some(&furthest) if before.len() == REPLICAS => furthest,
            Some(_) | None => node,
        };
        (after.into(), node.into())
    }

    /// The arcs that a node keeps, each with exactly the members that keep it, too.
    pub(super) fn segments(&self, node: NodeId) -> Vec<(Key, Key, Vec<NodeId>)> {
        let mut ends = Vec::with_capacity(REPLICAS + 1);
        ends.push(node);
        ends.extend(self.predecessors(node, REPLICAS));
        if ends.len() <= REPLICAS {
            // Everybody keeps everything.
            let others = self.others().collect();
            return Vec::from([(Key::from(node), Key::from(node), others)]);
        }
        let arcs = ends.windows(2).map(|pair| {
            let (last, after) = (Key::from(pair[0]), Key::from(pair[1]));
            let mut replicas = self.replicas(last);
            replicas.retain(|&replica| replica != node);
            (after, last, replicas)
        });
        arcs.collect()
    }

    /// One hash for each sixteenth of the ring, over who is a member and since when; the own node counts as a member
    /// since `former` where it is none yet.
    pub(super) fn buckets(&self, former: Option<u64>) -> [u64; 16] {
        let members = self.members();
        let members = members.map(|(node, member)| (node, member.announcement.about.incarnation));
        let own = former.filter(|_| self.member(self.own).is_none());
        let mut buckets = [0; 16];
        for (node, incarnation) in members.chain(own.map(|former| (self.own, former))) {
            let incarnation = incarnation.to_be_bytes();
            buckets[bucket(node)] ^= first_eight(&sha1(&[&node.0[..], &incarnation]));
        }
        buckets
    }

    /// The members of one sixteenth, with their incarnations.
    pub(super) fn in_bucket(&self, number: u8) -> Vec<(NodeId, u64)> {
        let members = self.members();
        let inside = members.filter(|(node, _)| bucket(*node) == usize::from(number));
        inside
            .map(|(node, member)| (node, member.announcement.about.incarnation))
            .collect()
    }
}

fn bucket(node: NodeId) -> usize {
    usize::from(node.0[0] >> 4)
}

pub(super) fn first_eight(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::About;
    use alloc::string::String;
    use credential::Signature;

    fn node(first: u8) -> NodeId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        NodeId(bytes)
    }

    fn ring(nodes: &[u8], own: u8) -> Ring {
        let mut ring = Ring::new(node(own));
        for &first in nodes {
            let about = About {
                statement: Vec::new(),
                incarnation: 7,
                leaving: false,
                quic: String::new(),
                url: String::new(),
            };
            ring.insert(
                node(first),
                Member {
                    announcement: Announcement {
                        about,
                        signature: Signature([0; 64]),
                    },
                    serial: Serial([1; 16]),
                    since: Instant::EPOCH,
                },
            );
        }
        ring
    }

    #[test]
    fn r007_a_key_belongs_to_the_members_that_follow_it() {
        let ring = ring(&[10, 20, 30, 40, 50, 60, 70], 10);
        let key = Key::from(node(45));
        let expected = [50, 60, 70, 10, 20].map(node);
        assert_eq!(ring.replicas(key), expected);
        assert!(ring.is_replica(node(20), key));
        assert!(!ring.is_replica(node(30), key));
        assert_eq!(ring.replicas(node(50).into())[0], node(50));
        assert_eq!(ring.replicas(node(71).into())[0], node(10));
    }

    #[test]
    fn arc_and_segments_are_what_the_replicas_say() {
        let ring = ring(&[10, 20, 30, 40, 50, 60, 70], 10);
        for own in [10, 20, 30, 40, 50, 60, 70].map(node) {
            let (after, last) = ring.arc(own);
            let segments = ring.segments(own);
            for first in 0..=255 {
                let key = Key::from(node(first));
                assert_eq!(
                    key.is_within(&after, &last),
                    ring.is_replica(own, key),
                    "{own} {first}"
                );
                let covering: Vec<_> = segments
                    .iter()
                    .filter(|(after, last, _)| key.is_within(after, last))
                    .collect();
                assert_eq!(covering.len(), usize::from(ring.is_replica(own, key)));
                for (_, _, others) in covering {
                    let mut replicas = ring.replicas(key);
                    replicas.retain(|&replica| replica != own);
                    assert_eq!(*others, replicas);
                }
            }
        }
    }

    #[test]
    fn small_ring_keeps_everything_everywhere() {
        let ring = ring(&[10, 20, 30], 20);
        let (after, last) = ring.arc(node(20));
        assert!((0..=255).all(|first| Key::from(node(first)).is_within(&after, &last)));
        assert_eq!(ring.replicas(node(99).into()).len(), 3);
        assert_eq!(ring.segments(node(20)).len(), 1);
        assert_eq!(ring.predecessors(node(20), 5), [10, 30].map(node));
        assert_eq!(ring.successors(node(20), 5), [30, 10].map(node));
    }

    #[test]
    fn a23_former_member_is_not_brought_back_by_its_old_announcement() {
        let mut ring = ring(&[10, 20, 30], 20);
        assert!(ring.lose(node(30), Instant::EPOCH));
        assert_eq!(ring.incarnation(node(30)), Some(7));
        assert!(ring.revive(node(30)));
        let member = ring.member(node(30)).unwrap().clone();
        assert!(ring.leave(node(30), member, Instant::EPOCH));
        assert!(!ring.revive(node(30)));
        assert_eq!(ring.lost().count(), 0);
    }
}
