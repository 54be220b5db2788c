//! How much of the ring a member knows: all of it, or what it can afford.
//!
//! Knowing a member costs what its coming and going costs. A newcomer is told how much happens, and chooses; a member
//! looks at it again in every round. Who knows a part knows a few guides besides, members that know all.

use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::ring::REPLICAS;
use super::{State, SuperNode};
use crate::LinkId;
use crate::peer::Message;

/// What one event costs whoever hears of it and hands it on, in bytes.
const EVENT: u64 = 250;
/// How many members lie on either side, at least.
const SIDE: usize = 12;
/// How many others must know all before somebody new may know less, and how many while it does.
const FULL: usize = 16;
const GUIDES: usize = 4;
/// With fewer guides a member asks for others.
pub(super) const ENOUGH: usize = 12;
/// In one of how many rounds a member changes something.
const STAGGERED: u32 = 8;
/// How often a member changes how much it knows.
const SETTLED: Duration = Duration::from_secs(600);

/// What a ring costs those who know it.
#[derive(Debug, Clone, Copy)]
struct Size {
    members: usize,
    /// Events in 1,000 seconds.
    pace: u64,
}

impl Size {
    /// How far a member may reach for so many bytes a second and so many entries.
    fn reach(self, bytes: u64, entries: usize) -> u8 {
        let cost = self.pace * EVENT / 1_000;
        let fits = |reach: u32| {
            let share = |whole: u64| {
                if reach == 0 {
                    whole
                } else {
                    whole >> (reach - 1)
                }
            };
            share(cost) <= bytes && share(self.members as u64) <= entries as u64
        };
        // Two at least: on one side of half the ring lies as much as on both.
        let furthest = (self.members / SIDE).max(1).ilog2();
        if fits(0) || furthest < 2 {
            return 0;
        }
        let reach = (2..furthest).find(|&reach| fits(reach));
        reach.unwrap_or(furthest) as u8
    }
}

impl SuperNode {
    /// A member tells this newcomer how much happens.
    pub(super) fn size_told(
        &mut self,
        (link, node): (LinkId, NodeId),
        (members, full, pace): (u32, u32, u32),
    ) {
        let State::Joining(join) = &mut self.state else {
            return;
        };
        if join.guide.is_some() {
            // Nobody alone shall choose whom it asks later.
            return self.ask_for_guides(link, node);
        }
        if join.sources.is_some() {
            return;
        }
        let limits = self.config.limits;
        let size = Size {
            members: members as usize,
            pace: pace.into(),
        };
        let reach = size.reach(limits.maintenance.into(), limits.table);
        if reach > 0 && full as usize >= FULL {
            join.guide_chosen(node);
            self.ring.set_reach(reach, limits.table);
            self.resolving.trust_guides_of(node);
            self.send_link(link, &Message::Fetch { reach });
        }
    }

    fn ask_for_guides(&mut self, link: LinkId, node: NodeId) {
        self.resolving.trust_guides_of(node);
        self.send_link(link, &Message::Guides);
    }

    /// A newcomer that was named members which know all asks one of them for his table.
    pub(super) fn ask_guide(&mut self, now: Instant) {
        let guides = self.pick_guides(2, &[], now);
        for guide in guides {
            match self.link_to(guide) {
                Some(link) => self.greet(link),
                None => self.dial(guide, now),
            }
        }
    }

    /// Looks whether it can afford what it knows, or more.
    pub(super) fn review_reach(&mut self, now: Instant) {
        self.ring.settle();
        if !matches!(self.state, State::Joined) {
            return;
        }
        let (reach, limits) = (self.ring.reach(), self.config.limits);
        if self.ring.is_partial() {
            // Its part may have filled up: fewer guides must do.
            self.ring.set_reach(reach, limits.table);
        }
        let share = u64::from(reach.saturating_sub(1));
        let size = Size {
            members: self.ring.estimate(),
            pace: self.pace() << share,
        };
        let budget = u64::from(limits.maintenance);
        let guides = self.ring.guides().count();
        let sides = [
            self.ring.successors(self.own, 2 * REPLICAS),
            self.ring.predecessors(self.own, 2 * REPLICAS),
        ];
        let window = self.ring.window();
        let thin = |side: &Vec<NodeId>| side.iter().any(|&node| !window.covers(node));
        if self.ring.is_partial() && guides < GUIDES {
            return self.change_reach(0, now);
        }
        if self.ring.is_partial() && sides.iter().any(thin) {
            return self.change_reach(if reach <= 2 { 0 } else { reach - 1 }, now);
        }
        // All at once would be an event of its own.
        if now - self.reached_at < SETTLED || self.rng.below(STAGGERED) > 0 {
            return self.refresh_guides(now);
        }
        // Not back and forth: it must pay clearly.
        let less = size.reach(
            budget + budget / 4,
            limits.table.saturating_add(limits.table / 8),
        );
        let more = size.reach(budget / 2, limits.table);
        if less > reach && (self.ring.is_partial() || guides >= FULL) {
            self.change_reach(less, now);
        } else if more < reach {
            self.change_reach(more, now);
        } else {
            self.refresh_guides(now);
        }
    }

    fn refresh_guides(&mut self, now: Instant) {
        if self.ring.is_partial()
            && self.ring.guides().count() < ENOUGH
            && self.rng.below(STAGGERED) == 0
            && let Some(&guide) = self.pick_guides(1, &[], now).first()
        {
            self.resolving.trust_guides_of(guide);
            self.send_peer(guide, &Message::Guides, now);
        }
    }

    fn change_reach(&mut self, reach: u8, now: Instant) {
        self.reached_at = now;
        let guides = self.pick_guides(2, &[], now);
        let wider = reach < self.ring.reach();
        self.ring.set_reach(reach, self.config.limits.table);
        self.resolving.clear();
        if wider {
            for guide in guides {
                self.resolving.trust_guides_of(guide);
                self.send_peer(guide, &Message::Fetch { reach }, now);
            }
        }
        self.announce(now);
    }

    /// Some members that know all, at random, those that may be gone last.
    pub(super) fn pick_guides(
        &mut self,
        count: usize,
        but: &[NodeId],
        now: Instant,
    ) -> Vec<NodeId> {
        let leaving = matches!(self.state, State::Leaving);
        let guides = self.ring.guides().filter(|node| !but.contains(node));
        let mut guides: Vec<NodeId> = guides.collect();
        let first = self.rng.below(guides.len().max(1) as u32) as usize;
        guides.rotate_left(first);
        if guides.len() > 2 {
            let second = 1 + self.rng.below(guides.len() as u32 - 1) as usize;
            guides.swap(1, second);
        }
        guides.sort_by_key(|&node| {
            let unlinked = leaving && self.link_to(node).is_none();
            (self.is_doubtful(node, now), unlinked)
        });
        guides.truncate(count);
        guides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_afford_it_knows_all_and_others_what_they_can() {
        let size = |members, pace| Size { members, pace };
        // 100,000 members with sessions of 24 h: 1.6 events a second, 400 bytes.
        let large = size(100_000, 1_600);
        assert_eq!(large.reach(2_000, usize::MAX), 0);
        assert_eq!(large.reach(300, usize::MAX), 2, "half of the ring");
        assert_eq!(large.reach(100, usize::MAX), 3);
        assert_eq!(large.reach(2_000, 5_000), 6, "3,125 members");
        assert_eq!(large.reach(0, 0), 13, "some always");
        assert_eq!(
            size(40, 1_000_000).reach(0, 0),
            0,
            "too few to part with any"
        );
    }
}
