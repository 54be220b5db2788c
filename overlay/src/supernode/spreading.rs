//! News: how all members hear of what happened to one, each of them once (D1HT's EDRA shape).
//!
//! Whoever hears of an event tells the members of an arc of the ring that begins with itself. It names a member near
//! the arc's middle, leaves the further half to that one, and goes on with the nearer half, until nobody is left in
//! between: one entry of a message for each member, log2 N of them on the longest way. Any member in the middle half of
//! an arc will do, so the links that stand are used over and over. What comes within a moment goes out together; the
//! moment grows with the table and with how much happens. What a member could not be told is told to others for it; what
//! gets lost all the same is made up for by the next comparison of tables.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::ring::Member;
use super::{State, SuperNode, Timer};
use crate::peer::{Announcement, Departure, Event, Message, Part};

/// How long it takes to see that a member was not told.
const UNSURE: Duration = Duration::from_secs(5);
/// How many of what was told are remembered that long.
const REMEMBERED: usize = 4_096;
/// How many entries wait for the next moment.
const PENDING: usize = 65_536;
/// Entries in one message.
const ENTRIES: usize = 128;
/// What a message costs with all headers and its acknowledgement, in bytes.
const MESSAGE: u64 = 150;
/// How many lives are remembered with how far they have been told of, and for how long.
const COVERED: usize = 4_096;
const COVERING: Duration = Duration::from_secs(120);
/// How long news that a member brings itself wait for those with an arc, at least.
const DIRECT: Duration = Duration::from_secs(3);
/// How long news are on their way from one member to the next, besides the moment that they wait there; and the longest
/// that anybody waits for news that others have.
const HOP: Duration = Duration::from_millis(100);
const FARTHEST: Duration = Duration::from_secs(60);
/// How many of them wait.
const WAITING: usize = 1_024;
/// The longest moment, in milliseconds.
const LONGEST: u64 = 8_000;

/// News on their way.
#[derive(Debug, Default)]
pub(super) struct Spreading {
    pending: Vec<Telling>,
    due: bool,
    pub(super) told: VecDeque<(Instant, NodeId, Telling)>,
    /// Of whom a member has spoken itself, each with when all are told if nobody has asked for that by then.
    direct: VecDeque<(Instant, NodeId)>,
    /// How far round this node has seen to it that an event of a member's life is told.
    covered: BTreeMap<Life, (NodeId, Instant)>,
    /// How many events there have been since the last look, and how many in a million seconds in the long run.
    events: u32,
    rate: u64,
    /// The same over half an hour, so that many who start at once don't count as a habit.
    steady: u64,
}

/// A member, which of its lives, and whether that is over.
type Life = (NodeId, u64, bool);

/// An event for the members between two places.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) after: NodeId,
    pub(super) until: NodeId,
    pub(super) event: Arc<Event>,
}

impl Event {
    fn life(&self) -> Option<Life> {
        match self {
            Self::Up(announcement) => {
                let about = &announcement.about;
                Some((about.node()?, about.incarnation, false))
            }
            Self::Gone(Departure { gone, .. }) => Some((gone.node, gone.incarnation, true)),
        }
    }

    pub(super) fn subject(&self) -> Option<NodeId> {
        match self {
            Self::Up(announcement) => announcement.about.node(),
            Self::Gone(departure) => Some(departure.gone.node),
        }
    }
}

impl SuperNode {
    /// Tells all members from here to `until`; to itself: all.
    pub(super) fn spread(&mut self, event: Event, until: NodeId, now: Instant) {
        if !matches!(self.state, State::Joined | State::Leaving) {
            return;
        }
        let Some(life) = event.life() else {
            return;
        };
        if self.ring.is_partial() && until == self.own {
            return self.entrust(event, now);
        }
        let covered = self.news.covered.get(&life).map(|(until, _)| *until);
        // Several may have begun to tell of it: only what an earlier one left out is added.
        let after = covered.unwrap_or(self.own);
        if let Some(covered) = covered {
            let told = self.ring.between(self.own, covered).len();
            let further = self.ring.between(self.own, until).len() > told;
            if covered == self.own || !further {
                return;
            }
        } else {
            self.news.events += 1;
        }
        if self.news.covered.len() >= COVERED {
            self.news.covered.pop_first();
        }
        self.news.covered.insert(life, (until, now));
        let event = Arc::new(event);
        self.tell(
            Telling {
                after,
                until,
                event,
            },
            now,
        );
    }

    /// What is known came once more, with an arc: whoever sent it counts on its being told there.
    pub(super) fn spread_known(&mut self, node: NodeId, gone: bool, until: NodeId, now: Instant) {
        let event = if gone {
            let former = self.ring.former(node);
            let proof = former.and_then(|former| former.proof.clone());
            proof.or_else(|| self.suspicion(node)).map(Event::Gone)
        } else {
            let member = self.ring.member(node);
            member.map(|member| Event::Up(member.announcement().clone()))
        };
        // What is older is no news to anybody.
        let young = self.wall(now).saturating_sub(self.young());
        match event {
            Some(Event::Up(up)) if up.about.incarnation < young => {}
            Some(Event::Gone(departure)) if departure.gone.at < young => {}
            Some(event) if until != self.own => self.spread(event, until, now),
            Some(_) | None => {}
        }
    }

    /// A member has said itself, to this node alone, that it is there. Mostly it says so because it names this node to
    /// others, and what is to be told of it comes at once: else every one of those would tell all members.
    pub(super) fn spread_direct(&mut self, announcement: Announcement, now: Instant) {
        let node = announcement.about.node();
        if self.is_small() || self.news.direct.len() >= WAITING {
            return self.spread(Event::Up(announcement), self.own, now);
        }
        if let Some(node) = node {
            let due = now + self.travel().max(DIRECT);
            self.news.direct.push_back((due, node));
            self.timers.set(due, Timer::Direct);
        }
    }

    pub(super) fn direct_due(&mut self, now: Instant) {
        while let Some(&(due, node)) = self.news.direct.front()
            && due <= now
        {
            self.news.direct.pop_front();
            if let Some(member) = self.ring.member(node) {
                let event = Event::Up(member.announcement().clone());
                let life = event.life();
                if life.is_some_and(|life| !self.news.covered.contains_key(&life)) {
                    self.spread(event, self.own, now);
                }
            }
        }
    }

    /// Forgets how far old news have been told.
    pub(super) fn forget_news(&mut self, now: Instant) {
        self.news.covered.retain(|_, (_, at)| now - *at < COVERING);
    }

    fn tell(&mut self, telling: Telling, now: Instant) {
        if self.news.pending.len() < PENDING {
            self.news.pending.push(telling);
        }
        if !self.news.due {
            self.news.due = true;
            let moment = Duration::from_millis(self.moment());
            self.timers.set(now + moment, Timer::News);
        }
    }

    /// How long events are gathered before they go on, in milliseconds: the longer, the fewer messages.
    pub(super) fn moment(&self) -> u64 {
        let members = self.ring.estimate() as u64;
        let mut moment = (members / 10).clamp(20, 500);
        let budget = u64::from(self.config.limits.maintenance);
        while moment < LONGEST && self.cost(moment) > budget / 4 {
            moment *= 2;
        }
        moment
    }

    /// How long it takes until all have heard of an event, at most: each that tells of it halves those who have not.
    pub(super) fn travel(&self) -> Duration {
        let hops = self.ring.estimate().max(1).ilog2() + 1;
        let hop = Duration::from_millis(self.moment()) + HOP;
        (hop * hops).min(FARTHEST)
    }

    /// What the messages of news cost, in bytes a second, if they go out every so many milliseconds.
    fn cost(&self, moment: u64) -> u64 {
        // Each event makes a message for one member on average; those of one moment share the furthest members.
        let events = self.news.rate * moment / 1_000_000_000;
        let messages = u64::from((events + 1).ilog2()) + 1;
        let separate = self.news.rate * MESSAGE / 1_000_000;
        separate.min(messages * MESSAGE * 1_000 / moment)
    }

    /// Reckons anew how much happens; `since` is how long ago it did so last.
    pub(super) fn reckon(&mut self, since: Duration) {
        let passed = (since.as_millis() as u64).max(1);
        let events = u64::from(core::mem::take(&mut self.news.events));
        let rate = events * 1_000_000_000 / passed;
        self.news.rate = (3 * self.news.rate + rate) / 4;
        self.news.steady = (63 * self.news.steady + rate) / 64;
    }

    /// How many events there are in so many seconds.
    pub(super) fn expected(&self, seconds: u64) -> usize {
        (self.news.rate * seconds / 1_000_000) as usize
    }

    /// How many events there are in 1,000 seconds, in the long run.
    pub(super) fn pace(&self) -> u64 {
        self.news.steady / 1_000
    }

    /// Sends what has gathered.
    pub(super) fn news_due(&mut self, now: Instant) {
        self.news.due = false;
        while let Some((at, ..)) = self.news.told.front()
            && (now - *at > UNSURE || self.news.told.len() > REMEMBERED)
        {
            self.news.told.pop_front();
        }
        let mut messages: BTreeMap<NodeId, BTreeMap<NodeId, Vec<Event>>> = BTreeMap::new();
        for mut telling in core::mem::take(&mut self.news.pending) {
            while let Some(node) = self.delegate(&telling) {
                let parts = messages.entry(node).or_default();
                let events = parts.entry(telling.until).or_default();
                events.push((*telling.event).clone());
                let further = Telling {
                    after: node,
                    ..telling.clone()
                };
                self.news.told.push_back((now, node, further));
                telling.until = node;
            }
            for (node, until) in self.hearers(&telling) {
                let parts = messages.entry(node).or_default();
                let events = parts.entry(until).or_default();
                events.push((*telling.event).clone());
                let further = Telling {
                    after: node,
                    until,
                    event: telling.event.clone(),
                };
                self.news.told.push_back((now, node, further));
            }
        }
        for (node, parts) in messages {
            for parts in bundles(parts) {
                self.send_peer(node, &Message::News { parts }, now);
            }
        }
    }

    /// Who is to tell the further half of an arc: near the middle, better over a link that stands.
    fn delegate(&self, telling: &Telling) -> Option<NodeId> {
        let (after, until) = (telling.after, telling.until);
        let arc = self.ring.between(after, until);
        let subject = telling.event.subject();
        let at = |place: usize| arc.at(place).map(|member| member.node());
        let is_willing = |member: &Member| {
            let node = member.node();
            let willing = Some(node) != subject && node != self.own;
            willing && member.reach() == 0 && !self.suspects.contains_key(&node)
        };
        let will_do = |node: &NodeId| self.ring.member(*node).is_some_and(|m| is_willing(m));
        let end = arc.len().checked_sub(1)?;
        let (first, middle) = (arc.len() / 4, arc.len() / 2);
        let last = (arc.len() * 3 / 4).max(middle).min(end);
        let further = self.linked(at(middle)?, at(last)?).find(will_do);
        let nearer = || self.linked(at(first)?, at(middle)?).rfind(will_do);
        let found = further.or_else(nearer);
        if found.is_some() {
            return found;
        }
        if matches!(self.state, State::Leaving) {
            // There is no time for new links.
            return self.linked(at(0)?, at(end)?).find(will_do);
        }
        let places = (middle..=end).chain((0..middle).rev());
        let mut members = places.filter_map(|place| arc.at(place));
        members
            .find(|member| is_willing(member))
            .map(|member| member.node())
    }

    /// Nodes with a link, from one place to another, both included, clockwise.
    fn linked(&self, first: NodeId, last: NodeId) -> impl DoubleEndedIterator<Item = NodeId> {
        let (one, other) = if first <= last {
            (first..=last, None)
        } else {
            (first..=NodeId([0xff; 20]), Some(NodeId([0; 20])..=last))
        };
        let rest = other.map(|range| self.ready.range(range));
        let linked = self.ready.range(one).chain(rest.into_iter().flatten());
        linked.map(|(&node, _)| node)
    }

    /// A member could not be reached: what it was to tell is told to others.
    pub(super) fn untold(&mut self, node: NodeId, now: Instant) {
        let told = core::mem::take(&mut self.news.told);
        let (failed, rest): (VecDeque<_>, VecDeque<_>) =
            told.into_iter().partition(|(_, other, _)| *other == node);
        self.news.told = rest;
        for (at, _, telling) in failed {
            if now - at > UNSURE {
                continue;
            }
            if telling.after == self.own && telling.until == self.own {
                self.entrust((*telling.event).clone(), now);
            } else if telling.after != telling.until {
                self.tell(telling, now);
            }
        }
    }

    pub(super) fn news(&mut self, from: NodeId, parts: Vec<Part>, now: Instant) {
        for part in parts {
            for event in part.events {
                match event {
                    Event::Up(announcement) => self.consider(from, announcement, part.until, now),
                    Event::Gone(departure) => self.departed(from, departure, part.until, now),
                }
            }
        }
    }

    /// Tells one super node what nobody else needs to be told by it.
    pub(super) fn inform(&mut self, node: NodeId, events: Vec<Event>, now: Instant) {
        let until = node;
        for events in events.chunks(ENTRIES) {
            let events = events.to_vec();
            let parts = Vec::from([Part { until, events }]);
            self.send_peer(node, &Message::News { parts }, now);
        }
    }
}

/// Parts in messages that each fit into a frame.
fn bundles(parts: BTreeMap<NodeId, Vec<Event>>) -> Vec<Vec<Part>> {
    let mut bundles: Vec<Vec<Part>> = Vec::new();
    let mut entries = ENTRIES;
    for (until, events) in parts {
        for events in events.chunks(ENTRIES) {
            entries += events.len();
            if entries > ENTRIES {
                bundles.push(Vec::new());
                entries = events.len();
            }
            let events = events.to_vec();
            if let Some(bundle) = bundles.last_mut() {
                bundle.push(Part { until, events });
            }
        }
    }
    bundles
}
