//! Coming and going: a node fetches the table and its records before it says that it is a member.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{NodeId, Signature};
use machine::Instant;

use super::comparing::ROUND;
use super::ring::Member;
use super::{Awaited, State, SuperNode, SuperNodeEvent, SuperNodeOutput, Timer};
use crate::LinkId;
use crate::association::{Denial, FromSuperNode};
use crate::peer::{About, Announcement, Event, Message, Prefix, SlotId};

/// How often a joining node looks how far it is.
const TICK: Duration = Duration::from_millis(500);
/// How long a joining node waits for somebody who has joined.
const ALONE: Duration = Duration::from_secs(4);
/// How long it waits while other nodes that have not joined either are there; the one with the lowest id goes first.
const RIVALS: Duration = Duration::from_secs(12);
/// How long fetching the table, or the records, may make no progress.
const STALLED: Duration = Duration::from_secs(3);
/// After how long without progress the tables are compared again.
const SLOW: Duration = Duration::from_secs(1);
/// How long fetching the table may take at all: where members come and go, no two tables are the same for long.
const TABLE: Duration = Duration::from_secs(10);
/// How often a member says anew that it is one.
const RENEWED: Duration = Duration::from_secs(5 * 24 * 3600);

/// How far a joining node is.
#[derive(Debug)]
pub(super) struct Join {
    since: Instant,
    /// The last progress.
    pub(super) moved: Instant,
    /// Others that have not joined either.
    pub(super) rivals: BTreeSet<NodeId>,
    /// The hashes of the tables of those that have joined, and the dates that they are of.
    tables: BTreeMap<NodeId, (u64, u64)>,
    /// Who is asked for the whole table; the others' are only compared with it.
    source: Option<NodeId>,
    /// Whose tables were gone into since that one's was there.
    compared: BTreeSet<NodeId>,
    /// Since when the others believe it to be a member, if it was one before it started anew.
    former: Option<u64>,
    /// Once the table is there: who is asked for records, and whether all of his slots are known.
    pub(super) sources: Option<BTreeMap<NodeId, bool>>,
    /// Records that are on their way.
    pub(super) wanted: BTreeSet<SlotId>,
    /// Who knows all, and was asked for the part that this node can afford.
    pub(super) guide: Option<NodeId>,
    announcing: bool,
}

impl Join {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            moved: now,
            rivals: BTreeSet::new(),
            tables: BTreeMap::new(),
            source: None,
            compared: BTreeSet::new(),
            former: None,
            sources: None,
            wanted: BTreeSet::new(),
            guide: None,
            announcing: false,
        }
    }

    /// It will know a part of the ring, as this member does.
    pub(super) fn guide_chosen(&mut self, node: NodeId) {
        self.guide = Some(node);
        self.source = Some(node);
        self.tables.clear();
    }

    pub(super) fn progress(&mut self, now: Instant) {
        self.moved = now;
    }
}

impl SuperNode {
    pub(super) fn begin_join(&mut self, now: Instant) {
        if self.seeds.is_empty() {
            return self.announce(now);
        }
        self.timers.set(now + TICK, Timer::Join);
        self.dial_seeds(now);
    }

    pub(super) fn dial_seeds(&mut self, now: Instant) {
        let seeds = self.seeds.iter().map(|seed| seed.node);
        let strangers = seeds.filter(|&node| self.ring.member(node).is_none());
        for node in strangers.collect::<Vec<_>>() {
            self.dial(node, now);
        }
    }

    pub(super) fn join_due(&mut self, now: Instant) {
        let State::Joining(join) = &self.state else {
            return;
        };
        self.timers.set(now + TICK, Timer::Join);
        let waited = now - join.since;
        let stalled = now - join.moved >= STALLED;
        if self.ring.others().next().is_none() {
            let first = join.rivals.iter().all(|rival| self.own < *rival);
            let patience = if join.rivals.is_empty() || first {
                ALONE
            } else {
                RIVALS
            };
            self.dial_seeds(now);
            if waited >= patience {
                self.announce(now);
            }
        } else if join.sources.is_none() {
            let slow = now - join.moved >= SLOW;
            if stalled || waited >= TABLE {
                self.fetch_records(now);
            } else if slow && !join.tables.is_empty() {
                self.ask_tables(now);
            } else if join.tables.is_empty() {
                // Somebody has joined meanwhile: ask for his table.
                self.ask_guide(now);
            }
        } else if stalled {
            self.announce(now);
        }
    }

    /// A joining node has learnt of a member: that is progress.
    pub(super) fn table_grew(&mut self, now: Instant) {
        if let State::Joining(join) = &mut self.state {
            join.progress(now);
            self.compare_tables(now);
        }
    }

    /// Somebody says since when he believes this node to be a member. A node that starts anew is in their tables still.
    pub(super) fn own_word_came(&mut self, incarnation: u64, now: Instant) {
        if let State::Joining(join) = &mut self.state {
            join.former = join.former.max(Some(incarnation));
            self.compare_tables(now);
        }
    }

    /// A member says what its table is. The first one is asked for the whole of it.
    pub(super) fn table_offered(&mut self, link: LinkId, at: u64, hash: u64, now: Instant) {
        let Some(node) = self.peers.get(&link).map(|peer| peer.node) else {
            return;
        };
        let State::Joining(join) = &mut self.state else {
            return;
        };
        if join.guide.is_some_and(|guide| guide != node) {
            // Of another part than this node will know.
            return;
        }
        join.tables.insert(node, (at, hash));
        let first = join.source.is_none();
        if first {
            join.source = Some(node);
            self.descend(link, at, Prefix::WHOLE);
        }
        self.compare_tables(now);
    }

    /// Nothing has come for a moment: goes into what differs from anybody's table.
    fn ask_tables(&mut self, now: Instant) {
        if let State::Joining(join) = &self.state
            && let Some(link) = join.guide.and_then(|guide| self.link_to(guide))
        {
            let reach = self.ring.reach();
            return self.send_link(link, &Message::Fetch { reach });
        }
        for (node, at) in self.differing() {
            if let Some(link) = self.link_to(node) {
                self.descend(link, at, Prefix::WHOLE);
            }
        }
        self.compare_tables(now);
    }

    /// Whose table is another than the own, and the date that it is of.
    fn differing(&self) -> Vec<(NodeId, u64)> {
        let State::Joining(join) = &self.state else {
            return Vec::new();
        };
        let tables = join.tables.iter();
        let differing = tables.filter(|(_, (at, hash))| {
            // Without itself, or with what it was before it started anew.
            self.ring.hash_with(join.former, *at) != *hash
        });
        differing.map(|(&node, &(at, _))| (node, at)).collect()
    }

    /// A joining node looks whether its table is the one that all have whom it greeted.
    pub(super) fn compare_tables(&mut self, now: Instant) {
        let State::Joining(join) = &self.state else {
            return;
        };
        let known = join
            .source
            .and_then(|source| join.tables.get(&source).copied());
        if join.sources.is_some()
            || known.is_none_or(|(at, hash)| self.ring.hash_with(join.former, at) != hash)
        {
            return;
        }
        let differing = self.differing();
        if differing.is_empty() {
            return self.fetch_records(now);
        }
        // The one who gave the table may have left members out.
        for (node, at) in differing {
            let State::Joining(join) = &mut self.state else {
                return;
            };
            if join.compared.insert(node)
                && let Some(link) = self.link_to(node)
            {
                self.descend(link, at, Prefix::WHOLE);
            }
        }
    }

    /// Says to all that it is a member.
    pub(super) fn announce(&mut self, now: Instant) {
        if let State::Joining(join) = &mut self.state {
            if join.announcing {
                return;
            }
            join.announcing = true;
        }
        let last = self.announcement.as_ref();
        let last = last.map_or(0, |last| last.about.incarnation);
        let about = About {
            statement: self.config.statement.to_bytes().to_vec(),
            incarnation: self.wall(now).max(last + 1),
            quic: self.config.quic.clone(),
            url: self.config.url.clone(),
            reach: self.ring.reach(),
        };
        let message = about.message(self.overlay());
        self.sign(Awaited::Announcement(about), message);
    }

    pub(super) fn announcement_signed(&mut self, about: About, signature: Signature, now: Instant) {
        if matches!(self.state, State::Leaving | State::Left) {
            return;
        }
        let announcement = Announcement { about, signature };
        self.announcement = Some(announcement.clone());
        let member = Member::new(&self.config.statement, announcement.clone());
        let member = self.interned(member);
        self.ring.insert(member);
        self.timers.set(now + RENEWED, Timer::Announce);
        if matches!(self.state, State::Joining(_)) {
            self.state = State::Joined;
            self.event(SuperNodeEvent::Joined);
            self.begin_rounds(now);
            self.ring_changed(now);
        }
        // Those that it does not know as members may belong to another half.
        let strangers = self.ready.keys().copied();
        let strangers = strangers.filter(|&node| self.ring.member(node).is_none());
        let event = Event::Up(announcement);
        for node in strangers.collect::<Vec<_>>() {
            self.inform(node, vec![event.clone()], now);
        }
        self.spread(event, self.own, now);
    }

    pub(super) fn begin_rounds(&mut self, now: Instant) {
        self.timers.set(now + super::probing::PROBE, Timer::Probe);
        self.timers.set(now + ROUND, Timer::Round);
        // What happened while it joined it has not been told.
        let partner = if self.ring.is_partial() {
            self.pick_guides(1, &[], now).pop()
        } else {
            self.ring.successors(self.own, 1).pop()
        };
        self.again = partner.map(|node| (node, 2));
        self.reached_at = now;
        self.timers.set(now + ROUND, Timer::Again);
    }

    /// The word of a member that has not moved for days is renewed before it is too old.
    pub(super) fn announce_due(&mut self, now: Instant) {
        let last = self.announcement.as_ref();
        let last = last.map_or(0, |last| last.about.incarnation);
        if last + RENEWED.as_millis() as u64 <= self.wall(now) {
            self.announce(now);
        }
    }

    pub(super) fn left(&mut self) {
        self.state = State::Left;
        self.keep_due();
        for link in self.associations.keys().copied().collect::<Vec<_>>() {
            let why = Denial::Leaving;
            let super_nodes = self.contacts();
            self.send_ordinary(link, &FromSuperNode::Refused { why, super_nodes });
            self.end_association(link);
        }
        for node in self.ready.keys().copied().collect::<Vec<_>>() {
            self.close_links(node);
        }
        self.dials.clear();
        self.outbox
            .push(SuperNodeOutput::Event(SuperNodeEvent::Left));
    }
}
