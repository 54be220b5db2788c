//! A member that knows a part of the ring asks others who keeps a key's records.
//!
//! ```text
//! partial member -- Who {key} -----------> two guides, members that know all
//!                <- Keepers {announcements} --
//!                -- Find, Place ---------> the super nodes that either has named
//! ```
//!
//! A guide can leave out, but not make up: announcements are signed. So two guides are asked, and what either of them
//! names counts: a search goes to all whom they name, and a record is placed when a quorum of each one's has it. One
//! guide alone can neither hide a record nor take one for nobody.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Check, MemberStatement, NodeId};
use machine::Instant;

use super::guiding::NAMED;
use super::membership::OLDEST;
use super::placing::Parcel;
use super::ring::{FURTHEST, Member, REPLICAS, first_eight};
use super::{Asker, Offence, Offender, SuperNode, SuperNodeEvent, Timer, Waiting};
use crate::Key;
use crate::association::PutOutcome;
use crate::peer::{Announcement, Message};
use crate::record::MAX_AHEAD;

/// How many guides must have answered.
const VIEWS: usize = 2;
/// How long a guide may take before another is asked, too, and how many are asked at most.
const PATIENCE: Duration = Duration::from_millis(500);
const GUIDES: usize = 6;
/// How long finding out may take.
const DEADLINE: Duration = Duration::from_millis(1_500);
/// How many questions may be open.
const OPEN: usize = 4_096;
/// How long what guides said is believed, and of how many keys it is remembered.
const FRESH: Duration = Duration::from_secs(60);
const KEYS: usize = 1_024;
/// How many members that guides named are remembered, and for how long.
const STRANGERS: usize = 5_000;
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many whose word is asked for are waited for.
const AWAITED: usize = 64;

/// Who keeps a key's records, as guides say: one list for each, nearest first.
pub(super) type Views = Vec<Vec<NodeId>>;

/// What a member that knows a part finds out about the rest.
#[derive(Debug, Default)]
pub(super) struct Resolving {
    open: BTreeMap<u64, Resolution>,
    resolved: BTreeMap<Key, (Views, Instant)>,
    strangers: BTreeMap<NodeId, (Arc<Member>, Instant)>,
    /// Members outside of the own part whose word was asked for.
    awaited: BTreeSet<NodeId>,
    /// Who was asked for members that know all, and has some to name yet.
    asked: BTreeMap<NodeId, usize>,
}

/// What the answer is needed for.
#[derive(Debug)]
pub(super) enum Need {
    /// The search with this number.
    Search(u64),
    Place(Asker, Parcel),
    /// A link to the node that has this very place, and what is to be said on it.
    Link(NodeId, Option<Message>),
}

#[derive(Debug)]
struct Resolution {
    key: Key,
    need: Need,
    asked: Vec<NodeId>,
    waiting: BTreeSet<NodeId>,
    /// Answers whose signatures are being checked, and how many.
    checking: BTreeMap<NodeId, (Vec<NodeId>, usize)>,
    views: Views,
    until: Instant,
}

impl Resolving {
    /// Who keeps a key's records, if guides have said so a moment ago.
    pub(super) fn resolved(&self, key: Key, now: Instant) -> Option<Views> {
        let (views, since) = self.resolved.get(&key)?;
        (now - *since < FRESH).then(|| views.clone())
    }

    /// What guides said of a key was of no use.
    pub(super) fn doubt(&mut self, key: Key) {
        self.resolved.remove(&key);
    }

    pub(super) fn stranger(&self, node: NodeId) -> Option<&Arc<Member>> {
        self.strangers.get(&node).map(|(member, _)| member)
    }

    /// Whether a member's word was asked for although it is outside of the own part.
    pub(super) fn awaits(&self, node: NodeId) -> bool {
        self.awaited.contains(&node)
    }

    /// A member is asked for others that know all.
    pub(super) fn trust_guides_of(&mut self, node: NodeId) {
        if self.asked.len() >= AWAITED {
            self.asked.pop_first();
        }
        self.asked.insert(node, NAMED + 1);
    }

    /// Whether a member may name one more.
    pub(super) fn may_name(&mut self, node: NodeId) -> bool {
        let left = self.asked.get_mut(&node).filter(|left| **left > 0);
        left.is_some_and(|left| {
            *left -= 1;
            true
        })
    }

    pub(super) fn acquaint(&mut self, member: Arc<Member>, now: Instant) {
        self.awaited.remove(&member.node());
        if self.strangers.len() >= STRANGERS {
            self.strangers
                .retain(|_, (_, since)| now - *since < REMEMBERED);
        }
        if self.strangers.len() >= STRANGERS {
            self.strangers.pop_first();
        }
        self.strangers.insert(member.node(), (member, now));
    }

    /// A member that is only known by hearsay can't be reached.
    pub(super) fn stranger_lost(&mut self, node: NodeId) {
        if self.strangers.remove(&node).is_some() {
            self.resolved
                .retain(|_, (views, _)| !views.iter().flatten().any(|keeper| *keeper == node));
        }
    }

    pub(super) fn clear(&mut self) {
        self.resolved.clear();
        self.strangers.clear();
    }
}

impl SuperNode {
    /// Who keeps a key's records, as far as that is known without asking.
    pub(super) fn keepers(&self, key: Key, now: Instant) -> Option<Views> {
        if self.ring.knows(key) {
            return Some(Vec::from([self.ring.replicas(key)]));
        }
        self.resolving.resolved(key, now)
    }

    /// Asks guides who keeps a key's records.
    pub(super) fn resolve(&mut self, key: Key, need: Need, now: Instant) {
        if self.resolving.open.len() >= OPEN {
            return self.resolved(key, need, Vec::new(), now);
        }
        let request = self.number();
        let resolution = Resolution {
            key,
            need,
            asked: Vec::new(),
            waiting: BTreeSet::new(),
            checking: BTreeMap::new(),
            views: Vec::new(),
            until: now + DEADLINE,
        };
        self.resolving.open.insert(request, resolution);
        self.ask_guides(request, VIEWS, now);
    }

    fn ask_guides(&mut self, request: u64, count: usize, now: Instant) {
        let Some(resolution) = self.resolving.open.get(&request) else {
            return;
        };
        let (key, asked) = (resolution.key, resolution.asked.clone());
        let count = count.min(GUIDES.saturating_sub(asked.len()));
        let guides = self.pick_guides(count, &asked, now);
        let Some(resolution) = self.resolving.open.get_mut(&request) else {
            return;
        };
        resolution.asked.extend(&guides);
        resolution.waiting.extend(&guides);
        if resolution.waiting.is_empty() && resolution.checking.is_empty() {
            return self.end_resolution(request, now);
        }
        self.timers.set(now + PATIENCE, Timer::Who(request));
        for guide in guides {
            self.send_peer(guide, &Message::Who { request, key }, now);
        }
    }

    /// A guide takes long: others are asked, too, and in the end what is known must do.
    pub(super) fn who_due(&mut self, request: u64, now: Instant) {
        let Some(resolution) = self.resolving.open.get(&request) else {
            return;
        };
        if now >= resolution.until {
            return self.end_resolution(request, now);
        }
        let missing = VIEWS.saturating_sub(resolution.views.len() + resolution.checking.len());
        self.ask_guides(request, missing, now);
    }

    /// A guide is gone.
    pub(super) fn guide_lost(&mut self, node: NodeId, now: Instant) {
        let open = self.resolving.open.iter_mut();
        let concerned = open.filter_map(|(&request, resolution)| {
            resolution.waiting.remove(&node).then_some(request)
        });
        for request in concerned.collect::<Vec<_>>() {
            self.ask_guides(request, 1, now);
        }
    }

    pub(super) fn keepers_told(
        &mut self,
        from: NodeId,
        request: u64,
        announcements: Vec<Announcement>,
        now: Instant,
    ) {
        // An answer may come after others have sufficed.
        let Some(resolution) = self.resolving.open.get_mut(&request) else {
            return;
        };
        if !resolution.waiting.remove(&from) {
            return self.misbehaved(Offender::SuperNode(from), Offence::Unasked);
        }
        if announcements.is_empty() {
            return self.ask_guides(request, 1, now);
        }
        let (mut view, mut checks) = (Vec::new(), Vec::new());
        for announcement in announcements.into_iter().take(REPLICAS) {
            let Some(node) = announcement.about.node() else {
                self.forged(from, Offence::Announcement, now);
                continue;
            };
            let known = self.ring.known(node);
            let known = known.or_else(|| self.resolving.stranger(node));
            let incarnation = announcement.about.incarnation;
            if known.is_some_and(|known| known.incarnation() >= incarnation) || node == self.own {
                view.push(node);
            } else if let Some(check) = self.word_checks(&announcement, now) {
                view.push(node);
                checks.push((announcement, check));
            } else {
                self.misbehaved(Offender::SuperNode(from), Offence::Announcement);
            }
        }
        if let Some(resolution) = self.resolving.open.get_mut(&request) {
            resolution.checking.insert(from, (view, checks.len()));
        }
        for (announcement, (statement, checks)) in checks {
            let waiting = Waiting::Keeper {
                from,
                request,
                statement,
                announcement,
            };
            self.check(waiting, checks);
        }
        self.view_on(request, from, now);
    }

    /// Makes the cheap checks of what a member says of itself; `None` if it does not count.
    fn word_checks(
        &self,
        announcement: &Announcement,
        now: Instant,
    ) -> Option<(MemberStatement, Vec<Check>)> {
        let (about, wall) = (&announcement.about, self.wall(now));
        let dated = about.incarnation <= wall + MAX_AHEAD && about.incarnation + OLDEST >= wall;
        let statement = MemberStatement::read(&about.statement)?;
        let anchor = &self.config.anchor;
        let member = anchor.admit_member(&statement, wall, &self.revocations);
        let member = member.ok().filter(|_| dated && about.reach <= FURTHEST)?;
        let word = Check {
            key: statement.key,
            message: about.message(self.overlay()),
            signature: announcement.signature,
        };
        Some((statement, Vec::from([word, member])))
    }

    pub(super) fn keeper_checked(
        &mut self,
        (from, request): (NodeId, u64),
        statement: &MemberStatement,
        announcement: Announcement,
        failed: Option<usize>,
        now: Instant,
    ) {
        let node = statement.node;
        if failed.is_some() {
            self.forged(from, Offence::Announcement, now);
        } else {
            let member = self.interned(Member::new(statement, announcement));
            self.resolving.acquaint(member, now);
        }
        let resolution = self.resolving.open.get_mut(&request);
        if let Some((view, left)) = resolution.and_then(|open| open.checking.get_mut(&from)) {
            *left -= 1;
            if failed.is_some() {
                view.retain(|named| *named != node);
            }
        }
        self.view_on(request, from, now);
    }

    /// An answer counts once all of it is checked.
    fn view_on(&mut self, request: u64, from: NodeId, now: Instant) {
        let Some(resolution) = self.resolving.open.get_mut(&request) else {
            return;
        };
        if resolution
            .checking
            .get(&from)
            .is_none_or(|(_, left)| *left > 0)
        {
            return;
        }
        let (mut view, _) = resolution.checking.remove(&from).unwrap_or_default();
        let place = first_eight(&resolution.key.0);
        view.sort_unstable_by_key(|node| node.first_eight().wrapping_sub(place));
        view.dedup();
        if view.is_empty() {
            return self.ask_guides(request, 1, now);
        }
        resolution.views.push(view.clone());
        let enough = match resolution.need {
            Need::Link(node, _) => view.contains(&node),
            Need::Search(search) => {
                let views = resolution.views.len();
                self.search_widened(search, view, now);
                views >= VIEWS
            }
            Need::Place(..) => resolution.views.len() >= VIEWS,
        };
        if enough {
            self.end_resolution(request, now);
        }
    }

    fn end_resolution(&mut self, request: u64, now: Instant) {
        let Some(resolution) = self.resolving.open.remove(&request) else {
            return;
        };
        let Resolution {
            key, need, views, ..
        } = resolution;
        if views.len() >= VIEWS {
            if self.resolving.resolved.len() >= KEYS {
                let resolved = &mut self.resolving.resolved;
                resolved.retain(|_, (_, since)| now - *since < FRESH / 2);
            }
            if self.resolving.resolved.len() >= KEYS {
                self.resolving.resolved.pop_first();
            }
            self.resolving.resolved.insert(key, (views.clone(), now));
        }
        self.resolved(key, need, views, now);
    }

    /// Goes on with what the answer was needed for.
    fn resolved(&mut self, key: Key, need: Need, views: Views, now: Instant) {
        // With one guide in all there is no second answer.
        let certain = views.len() >= VIEWS.min(self.ring.guides().count()) && !views.is_empty();
        match need {
            Need::Search(search) => self.search_resolved(search, certain, now),
            Need::Place(asker, parcel) if certain => self.place_at(asker, parcel, views, now),
            Need::Place(asker, _) => {
                self.resolving.doubt(key);
                self.placed(asker, 0, PutOutcome::Timeout);
            }
            Need::Link(node, message) => {
                if self.link_to(node).is_none() && self.address(node).is_none() {
                    if message.is_none() {
                        self.event(SuperNodeEvent::PeerFailed(node));
                    }
                    return;
                }
                match message {
                    Some(message) => self.send_peer(node, &message, now),
                    None => self.want_link(node, now),
                }
            }
        }
    }

    /// Somebody outside of the own part has signed something: asks for what it says of itself.
    pub(super) fn ask_word(&mut self, from: NodeId, node: NodeId) {
        if self.resolving.awaited.len() >= AWAITED {
            self.resolving.awaited.pop_first();
        }
        if let Some(link) = self.link_to(from)
            && self.resolving.awaited.insert(node)
        {
            let nodes = Vec::from([node]);
            self.send_link(link, &Message::Ask { nodes });
        }
    }
}
