//! Anti-entropy: two super nodes compare their tables, a hash over all first, then of what differs.
//!
//! What is young is left out in a large ring, since it is still on its way to everybody. Lost members are tried, too, or
//! the halves of a split would never meet again: all that are left try each of them together, the more rarely the
//! longer it has been gone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::ring::Window;
use super::{State, SuperNode, Timer};
use crate::LinkId;
use crate::peer::{Announcement, Event, Message, Prefix};

/// How often the table is compared with another member's, in a small ring; in a large one the more rarely, the larger it
/// is: so many milliseconds for each member, within bounds.
pub(super) const ROUND: Duration = Duration::from_secs(5);
const LEISURE: u64 = 100;
const LARGE: (u64, u64) = (10_000, 30_000);
/// In how many rounds one goes to a member without a link.
const STRANGE: u32 = 64;
/// What may be on its way still, being younger than a few moments and so many milliseconds, or in any case than the
/// longest time, is left out in a large ring.
const WAY: u64 = 4_000;
const HOP: u64 = 500;
pub(super) const YOUNG: u64 = 60_000;
/// When what differed is compared again.
const AGAIN: Duration = Duration::from_secs(2);
/// When a newcomer compares again, so that it has what was under way when it joined.
const SETTLING: Duration = Duration::from_secs(12);
/// Members that are listed rather than hashed.
const FEW: usize = 32;
/// Announcements in one message, entries in another, announcements asked for at once.
const CHUNK: usize = 128;
const ENTRIES: usize = 2_000;
const ASKED: usize = 64;
/// How often a lost member is tried, by all together: so many times while its absence doubles, roughly.
const TRIES: u64 = 3;
/// What a try in every round weighs. Thousands share the tries of one that was lost long ago.
const CERTAIN: u64 = 1_000_000;

impl SuperNode {
    pub(super) fn is_small(&self) -> bool {
        !self.ring.is_partial() && self.ring.len() <= self.config.limits.mesh
    }

    /// One round: another member, and one that was lost or never seen.
    pub(super) fn round(&mut self, now: Instant) {
        let round = if self.is_small() {
            ROUND
        } else {
            let members = self.ring.len() as u64;
            Duration::from_millis((members * LEISURE).clamp(LARGE.0, LARGE.1))
        };
        let jitter = self.rng.below(round.as_millis() as u32 / 4);
        let next = round + Duration::from_millis(u64::from(jitter));
        self.timers.set(now + next, Timer::Round);
        self.reckon(round);
        self.ring.forget_old(self.wall(now), now);
        self.avoided.retain(|_, until| now < *until);
        self.forget_news(now);
        self.review_reach(now);
        if self.is_small() {
            for node in self.ring.others().collect::<Vec<_>>() {
                self.dial(node, now);
            }
        }
        if let Some(node) = self.partner(now) {
            match self.link_to(node) {
                Some(link) => self.send_digest(link, now),
                None => self.dial(node, now),
            }
        }
        self.try_lost(round, now);
    }

    /// With whom the table is compared: one with a link mostly, since a new one costs more than all the rest.
    fn partner(&mut self, now: Instant) -> Option<NodeId> {
        if self.ring.is_partial() {
            return self.pick_guides(1, &[], now).pop();
        }
        let linked = self.ready.len() as u32;
        if !self.is_small() && linked > 0 && self.rng.below(STRANGE) > 0 {
            let place = self.rng.below(linked) as usize;
            return self.ready.keys().nth(place).copied();
        }
        let members = self.ring.len() as u32;
        self.ring.other_at(self.rng.below(members) as usize)
    }

    fn try_lost(&mut self, round: Duration, now: Instant) {
        let mut candidates: Vec<(NodeId, u64)> = Vec::new();
        let members = self.ring.estimate().max(1) as u64;
        let weight = |since: Instant, shared: u64| weight(now - since, round, shared);
        let lost = self.ring.lost();
        candidates.extend(lost.map(|(node, since)| (node, weight(since, members))));
        let seeds = self.seeds.iter().map(|seed| seed.node);
        let unseen = seeds.filter(|&seed| self.ring.known(seed).is_none());
        candidates.extend(unseen.map(|node| (node, weight(Instant::EPOCH, 1))));
        candidates.retain(|(node, _)| *node != self.own && !self.dials.contains_key(node));
        let total: u64 = candidates.iter().map(|(_, weight)| weight).sum();
        let bound = if self.is_small() {
            total
        } else {
            total.max(CERTAIN)
        };
        let bound = u32::try_from(bound).unwrap_or(u32::MAX);
        let mut drawn = u64::from(self.rng.below(bound));
        for (node, weight) in candidates {
            if drawn < weight {
                match self.link_to(node) {
                    Some(link) => self.greet(link),
                    None => self.dial(node, now),
                }
                return;
            }
            drawn -= weight;
        }
    }

    pub(super) fn send_digest(&mut self, link: LinkId, now: Instant) {
        let at = if self.is_small() {
            self.latest(now)
        } else {
            self.wall(now).saturating_sub(self.young())
        };
        self.send_digest_at(link, at);
    }

    /// The part of the table that this node and the one at the other end both know: one of them must know all.
    fn shared(&self, link: LinkId) -> Option<Window> {
        let node = self.peers.get(&link)?.node;
        let reach = self.ring.member(node).map(|member| member.reach());
        if self.ring.is_partial() {
            return (reach == Some(0)).then(|| self.ring.window());
        }
        let reach = reach.unwrap_or(0);
        Some(Window {
            center: node,
            reach,
        })
    }

    /// How long, in milliseconds, what has happened may be on its way to some: as many steps as the number of members has
    /// binary digits.
    pub(super) fn young(&self) -> u64 {
        let steps = u64::from(self.ring.len().max(1).ilog2()) + 1;
        (WAY + (self.moment() + HOP) * steps).min(YOUNG)
    }

    pub(super) fn send_digest_at(&mut self, link: LinkId, at: u64) {
        let Some(window) = self.shared(link) else {
            return;
        };
        let digest = Message::Digest {
            at,
            hash: self.ring.hash_within(window, at),
            revocations: self.revocations.number(),
        };
        self.send_link(link, &digest);
    }

    pub(super) fn digest_received(
        &mut self,
        link: LinkId,
        (at, hash): (u64, u64),
        revocations: u64,
        now: Instant,
    ) {
        let own = self.revocations.number();
        if revocations < own {
            let list = self.revocations.to_bytes();
            self.send_link(link, &Message::Revocations { list });
        } else if revocations > own {
            self.send_digest(link, now);
        }
        if matches!(self.state, State::Joining(_)) {
            return self.table_offered(link, at, hash, now);
        }
        let window = self.shared(link);
        if window.is_some_and(|window| self.ring.hash_within(window, at) != hash) {
            self.descend(link, at, Prefix::WHOLE);
        }
    }

    /// Goes into a part of the table that differs.
    pub(super) fn descend(&mut self, link: LinkId, at: u64, prefix: Prefix) {
        let Some(window) = self.shared(link) else {
            return;
        };
        let many = self.ring.inside_within(window, prefix).nth(FEW).is_some();
        if many && prefix.child(0).is_some() {
            let hashes = self.ring.hashes_within(window, prefix, at);
            return self.send_link(link, &Message::Branch { at, prefix, hashes });
        }
        let entries = self.ring.inside_within(window, prefix).take(ENTRIES);
        let entries = entries.map(|member| (member.node(), member.incarnation()));
        let entries = entries.collect();
        self.send_link(
            link,
            &Message::Members {
                at,
                prefix,
                entries,
            },
        );
    }

    pub(super) fn branch_received(
        &mut self,
        link: LinkId,
        at: u64,
        prefix: Prefix,
        hashes: &[u64; 16],
    ) {
        let Some(window) = self.shared(link).filter(|_| prefix.is_sound()) else {
            return;
        };
        let own = self.ring.hashes_within(window, prefix, at);
        for (digit, (own, theirs)) in (0..16).zip(own.iter().zip(hashes)) {
            if own != theirs
                && let Some(child) = prefix.child(digit)
            {
                self.descend(link, at, child);
            }
        }
    }

    /// Compares a part of the table: asks for what is newer there, sends what is newer here.
    pub(super) fn members_received(
        &mut self,
        (link, node): (LinkId, NodeId),
        (at, prefix): (u64, Prefix),
        entries: &[(NodeId, u64)],
        now: Instant,
    ) {
        let Some(window) = self.shared(link).filter(|_| prefix.is_sound()) else {
            return;
        };
        let theirs: BTreeMap<NodeId, u64> = entries.iter().take(ENTRIES).copied().collect();
        let missing = theirs.iter().filter(|(node, incarnation)| {
            let own = self.ring.incarnation(**node);
            window.covers(**node) && own.is_none_or(|own| own < **incarnation)
        });
        let missing: Vec<NodeId> = missing.map(|(node, _)| *node).collect();
        for chunk in missing.chunks(ASKED) {
            let nodes = chunk.to_vec();
            self.send_link(link, &Message::Ask { nodes });
        }
        let inside = self.ring.inside_within(window, prefix).filter(|member| {
            let known = theirs.get(&member.node());
            member.incarnation() <= at && known.is_none_or(|known| *known < member.incarnation())
        });
        let newer: Vec<NodeId> = inside.map(|member| member.node()).collect();
        self.send_announcements(link, &newer);
        // Those who are gone are told of, too.
        let gone = theirs.iter().filter_map(|(node, incarnation)| {
            let former = self.ring.former(*node)?;
            let proof = former.proof.as_ref()?;
            (proof.gone.incarnation >= *incarnation && proof.gone.at <= at)
                .then(|| Event::Gone(proof.clone()))
        });
        let gone: Vec<Event> = gone.collect();
        let differing = missing.len() + newer.len() + gone.len();
        self.inform(node, gone, now);
        for (&node, &incarnation) in &theirs {
            if self.ring.incarnation(node) == Some(incarnation) {
                self.take_back(node, now);
            }
        }
        // Much at once may be a split that heals: go on before the next round.
        if differing > 4 + self.expected(20) && self.again.is_none() {
            self.again = Some((node, 0));
            self.timers.set(now + AGAIN, Timer::Again);
        }
    }

    pub(super) fn again_due(&mut self, now: Instant) {
        let Some((node, more)) = self.again.take() else {
            return;
        };
        if more > 0 {
            self.again = Some((node, more - 1));
            self.timers.set(now + SETTLING, Timer::Again);
        }
        if let Some(link) = self.link_to(node) {
            let at = self.latest(now);
            self.send_digest_at(link, at);
        }
    }

    pub(super) fn send_announcements(&mut self, link: LinkId, nodes: &[NodeId]) {
        for chunk in nodes.chunks(CHUNK) {
            let members = chunk.iter().filter_map(|&node| self.ring.member(node));
            let announcements = members.map(|member| member.announcement().clone());
            let announcements: Vec<Announcement> = announcements.collect();
            if !announcements.is_empty() {
                self.send_link(link, &Message::Announcements { announcements });
            }
        }
    }

    pub(super) fn asked(&mut self, link: LinkId, mut nodes: Vec<NodeId>) {
        nodes.truncate(ASKED);
        self.send_announcements(link, &nodes);
    }
}

/// How likely it is in one round that one of those who share the tries of a lost member makes one, in parts of [`CERTAIN`].
fn weight(gone: Duration, round: Duration, shared: u64) -> u64 {
    let (age, round) = (gone.as_millis() as u64, round.as_millis() as u64);
    (TRIES * round * CERTAIN / (age.max(round) * shared).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_member_is_tried_the_more_rarely_the_longer_it_is_gone_however_many_try() {
        const ROUND: Duration = Duration::from_secs(30);
        for members in [100, 1_000, 10_000] {
            for minutes in [1, 10, 60] {
                let gone = Duration::from_secs(60 * minutes);
                let rounds = (gone.as_secs() / ROUND.as_secs()) as u32;
                let ages = (0..rounds).map(|round| gone + ROUND * round);
                let tries = ages.map(|age| weight(age, ROUND, members) * members);
                let tries = tries.sum::<u64>() as f64 / CERTAIN as f64;
                assert!((1.5..3.0).contains(&tries), "{members} {minutes}: {tries}");
            }
        }
    }
}
