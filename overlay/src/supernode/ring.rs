//! The table of members and what follows from it: who is responsible for which key.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::time::Duration;

use credential::{MemberStatement, NodeId, Serial};
use machine::Instant;

use crate::Key;
use crate::key::sha1;
use crate::peer::{Announcement, Departure, Prefix};

/// How many super nodes keep a record, as far as there are so many.
pub(super) const REPLICAS: usize = 5;
/// How long a lost member is remembered and tried.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How many former members are remembered.
const FORMER: usize = 100_000;
/// How many changes, and of how many milliseconds, a hash over the past can leave out.
const CHANGES: usize = 4_096;
const PAST: u64 = 300_000;

/// A member of the ring as it announced itself: verified, and never changed.
#[derive(Debug)]
pub struct Member {
    node: NodeId,
    serial: Serial,
    hash: u64,
    announcement: Announcement,
}

impl Member {
    pub(super) fn new(statement: &MemberStatement, announcement: Announcement) -> Self {
        Self {
            node: statement.node,
            serial: statement.serial,
            hash: hash(statement.node, announcement.about.incarnation),
            announcement,
        }
    }

    /// Reads an announcement that was verified before; `None` if it has no statement.
    #[must_use]
    pub fn read(announcement: Announcement) -> Option<Self> {
        let statement = MemberStatement::read(&announcement.about.statement)?;
        Some(Self::new(&statement, announcement))
    }

    /// Its id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Which of its announcements this is, in milliseconds since 1970.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.announcement.about.incarnation
    }

    /// Whom it knows: 0 for all.
    #[must_use]
    pub fn reach(&self) -> u8 {
        self.announcement.about.reach
    }

    pub(super) fn serial(&self) -> Serial {
        self.serial
    }

    pub(super) fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    pub(super) fn quic(&self) -> &str {
        &self.announcement.about.quic
    }

    pub(super) fn url(&self) -> &str {
        &self.announcement.about.url
    }

    pub(super) fn statement(&self) -> Option<MemberStatement> {
        MemberStatement::read(&self.announcement.about.statement)
    }
}

/// Keeps one copy of what many nodes of one process know of a member.
pub trait Intern: fmt::Debug + Send + Sync {
    /// The copy that all share. Members of the same id and incarnation are the same.
    fn intern(&self, member: Member) -> Arc<Member>;
}

/// A member that was lost or has left: remembered, so that an old announcement doesn't bring it back.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) member: Arc<Member>,
    pub(super) since: Instant,
    pub(super) left: bool,
    /// What others will believe. The own word takes a moment to sign.
    pub(super) proof: Option<Departure>,
}

/// A change of the table, and the date that it bears: the announcement's or the departure's.
#[derive(Debug)]
struct Change {
    at: u64,
    node: NodeId,
    hash: u64,
}

#[derive(Debug)]
pub(super) struct Ring {
    own: NodeId,
    /// How much of the ring is known, as the own announcement says.
    reach: u8,
    /// How much of that has come.
    sure: u8,
    /// By id; itself included, once it has joined.
    members: Vec<Arc<Member>>,
    /// Over all members.
    hash: u64,
    changes: VecDeque<Change>,
    /// The latest date that a change ever bore.
    latest: u64,
    former: BTreeMap<NodeId, Former>,
}

impl Ring {
    pub(super) const fn new(own: NodeId) -> Self {
        Self {
            own,
            reach: 0,
            sure: 0,
            members: Vec::new(),
            hash: 0,
            changes: VecDeque::new(),
            latest: 0,
            former: BTreeMap::new(),
        }
    }

    pub(super) fn members(&self) -> impl DoubleEndedIterator<Item = &Arc<Member>> + Clone {
        self.members.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn others(&self) -> impl DoubleEndedIterator<Item = NodeId> + Clone {
        let nodes = self.members.iter().map(|member| member.node);
        nodes.filter(|&node| node != self.own)
    }

    /// The other member at a place of the list, if one is there.
    pub(super) fn other_at(&self, place: usize) -> Option<NodeId> {
        let node = self.members.get(place)?.node;
        (node != self.own).then_some(node)
    }

    fn place(&self, node: NodeId) -> Result<usize, usize> {
        let place = self.first_from(node);
        let found = self.members.get(place);
        if found.is_some_and(|member| member.node == node) {
            Ok(place)
        } else {
            Err(place)
        }
    }

    /// The place of the first member with this id or a higher one; the end, if there is none.
    fn first_from(&self, node: NodeId) -> usize {
        self.seek(node, Ordering::is_lt)
    }

    /// The place of the first member with a higher id; the end, if there is none.
    fn first_after(&self, node: NodeId) -> usize {
        self.seek(node, Ordering::is_le)
    }

    /// Ids are spread evenly: looking near where an even spread has one reads fewer members than halving the table.
    fn seek(&self, node: NodeId, is_before: fn(Ordering) -> bool) -> usize {
        let members = &self.members[..];
        let eight = node.first_eight();
        let is_before = |member: &Arc<Member>| {
            // Most differ in these, which are compared at once.
            let first = member.node.first_eight().cmp(&eight);
            is_before(first.then_with(|| member.node.cmp(&node)))
        };
        let (mut low, mut high) = (0, members.len());
        let even = u128::from(eight) * members.len() as u128;
        let mut place = (even >> 64) as usize;
        let mut step = members.len().isqrt() / 4 + 1;
        while low <= place && place < high {
            if is_before(&members[place]) {
                low = place + 1;
                place += step;
            } else {
                high = place;
                place = place.wrapping_sub(step);
            }
            step *= 2;
        }
        low + members[low..high].partition_point(is_before)
    }

    pub(super) fn member(&self, node: NodeId) -> Option<&Arc<Member>> {
        let place = self.place(node).ok()?;
        self.members.get(place)
    }

    pub(super) fn former(&self, node: NodeId) -> Option<&Former> {
        self.former.get(&node)
    }

    pub(super) fn former_mut(&mut self, node: NodeId) -> Option<&mut Former> {
        self.former.get_mut(&node)
    }

    /// A node's word, whether it is a member or was one.
    pub(super) fn known(&self, node: NodeId) -> Option<&Arc<Member>> {
        let former = || Some(&self.former.get(&node)?.member);
        self.member(node).or_else(former)
    }

    /// Former members that did not leave by themselves, with when they were lost; they may come back.
    pub(super) fn lost(&self) -> impl Iterator<Item = (NodeId, Instant)> {
        let lost = self.former.iter().filter(|(_, former)| !former.left);
        lost.map(|(&node, former)| (node, former.since))
    }

    /// The latest word known of a node.
    pub(super) fn incarnation(&self, node: NodeId) -> Option<u64> {
        Some(self.known(node)?.incarnation())
    }

    /// Takes a whole table in at once.
    pub(super) fn fill(&mut self, members: &[Arc<Member>]) {
        self.members = members.to_vec();
        self.members.sort_unstable_by_key(|member| member.node);
        self.hash = self
            .members
            .iter()
            .fold(0, |hash, member| hash ^ member.hash);
    }

    fn change(&mut self, at: u64, node: NodeId, hash: u64) {
        self.hash ^= hash;
        if self.changes.len() >= CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { at, node, hash });
        self.latest = self.latest.max(at);
    }

    /// Takes a member in, or its newer word.
    pub(super) fn insert(&mut self, member: Arc<Member>) {
        let (node, at) = (member.node, member.incarnation());
        self.former.remove(&node);
        self.change(at, node, member.hash);
        match self.place(node) {
            Ok(place) => {
                let hash = self.members[place].hash;
                self.change(at, node, hash);
                self.members[place] = member;
            }
            Err(place) => {
                if self.members.len() == self.members.capacity() {
                    // The doubling of a vector would leave half of the largest table empty.
                    self.members.reserve_exact(self.members.len() / 16 + 16);
                }
                self.members.insert(place, member);
            }
        }
    }

    /// Takes a member out; true if it was one. `at` is the date of its departure.
    pub(super) fn remove(
        &mut self,
        node: NodeId,
        left: bool,
        proof: Option<Departure>,
        (at, now): (u64, Instant),
    ) -> bool {
        let Ok(place) = self.place(node) else {
            return false;
        };
        let member = self.members.remove(place);
        self.change(at, node, member.hash);
        if self.former.len() >= FORMER {
            self.former.pop_first();
        }
        let former = Former {
            member,
            since: now,
            left,
            proof,
        };
        self.former.insert(node, former);
        true
    }

    pub(super) fn forget_old(&mut self, wall: u64, now: Instant) {
        self.former
            .retain(|_, former| now - former.since < REMEMBERED);
        self.changes.retain(|change| change.at + PAST > wall);
    }

    /// Members from a place on, clockwise.
    fn from(&self, key: Key) -> impl Iterator<Item = NodeId> {
        let key = NodeId(key.0);
        let first = self.first_from(key);
        let (before, after) = self.members.split_at(first);
        after.iter().chain(before).map(|member| member.node)
    }

    /// The super nodes that keep a key's records: the first members from the key on, clockwise.
    pub(super) fn replicas(&self, key: Key) -> Vec<NodeId> {
        self.from(key).take(REPLICAS).collect()
    }

    pub(super) fn is_replica(&self, node: NodeId, key: Key) -> bool {
        self.window().covers(NodeId(key.0))
            && self.from(key).take(REPLICAS).any(|replica| replica == node)
    }

    /// Whether a node is near enough to a key that another table may hold it responsible.
    pub(super) fn is_near(&self, node: NodeId, key: Key) -> bool {
        let mut nearest = self.from(key).take(2 * REPLICAS);
        self.window().covers(NodeId(key.0)) && nearest.any(|replica| replica == node)
    }

    /// Members that follow a node, nearest first, itself left out.
    pub(super) fn successors(&self, node: NodeId, count: usize) -> Vec<NodeId> {
        let others = self.from(node.into()).filter(|&other| other != node);
        others.take(count).collect()
    }

    /// Members that precede a node, nearest first, itself left out.
    pub(super) fn predecessors(&self, node: NodeId, count: usize) -> Vec<NodeId> {
        let first = self.first_from(node);
        let (before, after) = self.members.split_at(first);
        let nodes = before.iter().rev().chain(after.iter().rev());
        let nodes = nodes.map(|member| member.node);
        nodes.filter(|&other| other != node).take(count).collect()
    }

    /// Whether at most so many members lie between two places of the ring, one way or the other.
    pub(super) fn are_near(&self, one: NodeId, other: NodeId, count: usize) -> bool {
        self.apart(one, other) <= count + 1
    }

    /// How many places two are apart, the shorter way.
    pub(super) fn apart(&self, one: NodeId, other: NodeId) -> usize {
        let place = |node| self.first_from(node);
        let apart = place(one).abs_diff(place(other));
        apart.min(self.members.len().saturating_sub(apart))
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

    /// The hash over all members, as it was at a date.
    pub(super) fn hash(&self, at: u64) -> u64 {
        if at >= self.latest {
            return self.hash;
        }
        let later = self.changes.iter().filter(|change| change.at > at);
        later.fold(self.hash, |hash, change| hash ^ change.hash)
    }

    /// The same, with the own node as a member since `former` where it is none yet.
    pub(super) fn hash_with(&self, former: Option<u64>, at: u64) -> u64 {
        let own = former.filter(|_| self.member(self.own).is_none());
        self.hash_within(self.window(), at) ^ own.map_or(0, |former| hash(self.own, former))
    }

    /// The members of one part of the ring.
    pub(super) fn inside(&self, prefix: Prefix) -> &[Arc<Member>] {
        let (low, high) = prefix.bounds();
        let first = self.first_from(low);
        let end = self.first_after(high);
        &self.members[first..end]
    }
}

impl Prefix {
    /// The whole ring.
    pub(super) const WHOLE: Self = Self { digits: 0, bits: 0 };
    const DIGITS: u8 = 8;

    /// What one digit more leaves, if there may be one more.
    pub(super) fn child(self, digit: u8) -> Option<Self> {
        let digits = self.digits + 1;
        (digits <= Self::DIGITS).then(|| Self {
            digits,
            bits: self.bits | u32::from(digit) << (32 - 4 * u32::from(digits)),
        })
    }

    /// Whether it is one at all.
    pub(super) fn is_sound(self) -> bool {
        self.digits <= Self::DIGITS && self.bits & self.free() == 0
    }

    /// The bits that it leaves open.
    fn free(self) -> u32 {
        u32::MAX
            .checked_shr(4 * u32::from(self.digits))
            .unwrap_or(0)
    }

    fn covers(self, node: NodeId) -> bool {
        node.first_eight() >> 32 & u64::from(!self.free()) == u64::from(self.bits)
    }

    /// Which sixteenth of it a node is in.
    fn digit(self, node: NodeId) -> usize {
        let shift = 60 - 4 * u32::from(self.digits.min(Self::DIGITS));
        (node.first_eight() >> shift & 15) as usize
    }

    fn bounds(self) -> (NodeId, NodeId) {
        let (mut low, mut high) = ([0; 20], [0xff; 20]);
        low[..4].copy_from_slice(&self.bits.to_be_bytes());
        high[..4].copy_from_slice(&(self.bits | self.free()).to_be_bytes());
        (NodeId(low), NodeId(high))
    }
}

/// What a member's life adds to the hashes.
fn hash(node: NodeId, incarnation: u64) -> u64 {
    first_eight(&sha1(&[&node.0[..], &incarnation.to_be_bytes()]))
}

pub(super) fn first_eight(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

mod window;

pub(super) use self::window::{FURTHEST, Window};

#[cfg(test)]
mod tests;
