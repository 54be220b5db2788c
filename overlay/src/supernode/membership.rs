//! Who is a member: joining, announcing, comparing tables, losing.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Check, MemberStatement, NodeId, RevocationList};
use machine::Instant;

use super::ring::Member;
use super::{Offence, Offender, State, SuperNode, SuperNodeEvent, Timer, Waiting};
use crate::LinkId;
use crate::peer::{Announcement, Message};
use crate::record::MAX_AHEAD;

/// How often the table is compared with a random member's.
pub(super) const ROUND: Duration = Duration::from_secs(5);
/// Announcements older than this are no longer believed, in milliseconds.
const OLDEST: u64 = 48 * 3600 * 1_000;
/// Announcements in one message, entries in another.
const CHUNK: usize = 64;
const ENTRIES: usize = 2_000;
/// How often one member's word is taken in: each costs every member two verifications.
const SPACING: Duration = Duration::from_secs(1);
const MAX_TEXT: usize = 255;

impl SuperNode {
    /// The first message on every link.
    pub(super) fn greet(&mut self, link: LinkId) {
        let hello = Message::Hello {
            announcement: self.announcement.clone(),
            joining: matches!(self.state, State::Joining(_)),
        };
        self.send_link(link, &hello);
    }

    pub(super) fn greeted(
        &mut self,
        link: LinkId,
        node: NodeId,
        announcement: Option<Announcement>,
        joining: bool,
        now: Instant,
    ) {
        if let Some(announcement) = announcement {
            let known = self.ring.incarnation(node) == Some(announcement.about.incarnation);
            if known && self.ring.revive(node) {
                self.member_up(node, now);
            } else {
                self.consider(node, announcement, now);
            }
        }
        match &mut self.state {
            State::Joining(join) if joining => {
                join.rivals.insert(node);
            }
            State::Joined if joining => {
                let nodes = self.ring.members().map(|(node, _)| node).collect();
                self.send_announcements(link, nodes);
                self.send_digest(link);
            }
            State::Joining(join) => {
                join.rivals.remove(&node);
            }
            State::Joined | State::Leaving | State::Left => {}
        }
    }

    fn send_announcements(&mut self, link: LinkId, nodes: Vec<NodeId>) {
        for chunk in nodes.chunks(CHUNK) {
            let members = chunk.iter().filter_map(|&node| self.ring.member(node));
            let announcements = members.map(|member| member.announcement.clone()).collect();
            self.send_link(link, &Message::Announcements { announcements });
        }
    }

    fn send_digest(&mut self, link: LinkId) {
        let digest = Message::Digest {
            buckets: self.ring.buckets(None),
            revocations: self.revocations.number(),
        };
        self.send_link(link, &digest);
    }

    pub(super) fn digest_received(
        &mut self,
        link: LinkId,
        buckets: [u64; 16],
        revocations: u64,
        now: Instant,
    ) {
        let own = self.revocations.number();
        if revocations < own {
            let list = self.revocations.to_bytes();
            self.send_link(link, &Message::Revocations { list });
        } else if revocations > own {
            self.send_digest(link);
        }
        if let State::Joining(join) = &mut self.state {
            join.table = Some(buckets);
            return self.compare_tables(now);
        }
        let mine = self.ring.buckets(None);
        for (bucket, _) in (0..16)
            .zip(mine.iter().zip(&buckets))
            .filter(|(_, (a, b))| a != b)
        {
            let mut entries = self.ring.in_bucket(bucket);
            entries.truncate(ENTRIES);
            self.send_link(link, &Message::Members { bucket, entries });
        }
    }

    /// Compares a part of the table: asks for what is newer there, sends what is newer here.
    pub(super) fn members_received(&mut self, link: LinkId, bucket: u8, entries: &[(NodeId, u64)]) {
        let theirs: BTreeMap<NodeId, u64> = entries.iter().copied().collect();
        let missing = theirs
            .iter()
            .filter(|(node, incarnation)| {
                self.ring
                    .incarnation(**node)
                    .is_none_or(|own| own < **incarnation)
            })
            .map(|(node, _)| *node);
        let missing: Vec<NodeId> = missing.collect();
        for chunk in missing.chunks(CHUNK) {
            let nodes = chunk.to_vec();
            self.send_link(link, &Message::Ask { nodes });
        }
        let newer = self
            .ring
            .in_bucket(bucket)
            .into_iter()
            .filter(|(node, incarnation)| {
                theirs.get(node).is_none_or(|theirs| theirs < incarnation)
            });
        let newer = newer.map(|(node, _)| node).collect();
        self.send_announcements(link, newer);
        // A member that has left is told of, too.
        let left = theirs.keys().filter_map(|node| self.ring.former(*node));
        let announcements: Vec<Announcement> = left
            .filter(|former| former.announcement.about.leaving)
            .map(|former| former.announcement.clone())
            .take(CHUNK)
            .collect();
        if !announcements.is_empty() {
            self.send_link(link, &Message::Announcements { announcements });
        }
    }

    pub(super) fn asked(&mut self, link: LinkId, mut nodes: Vec<NodeId>) {
        nodes.truncate(CHUNK);
        self.send_announcements(link, nodes);
    }

    /// Makes the cheap checks of an announcement that is news, and asks for the others.
    pub(super) fn consider(&mut self, from: NodeId, announcement: Announcement, now: Instant) {
        let about = &announcement.about;
        let fault = |node: &mut Self| {
            node.misbehaved(Offender::SuperNode(from), Offence::Announcement);
        };
        if about.quic.len() > MAX_TEXT || about.url.len() > MAX_TEXT {
            return self.forged(from, Offence::Announcement, now);
        }
        let subject = about.statement.get(1..21).and_then(NodeId::from_slice);
        let Some(node) = subject else {
            return self.forged(from, Offence::Announcement, now);
        };
        if node == self.own {
            return self.own_word_came(about.incarnation, now);
        }
        let known = self.ring.incarnation(node);
        if known.is_some_and(|known| about.incarnation <= known) {
            return;
        }
        // What is left out is made up for by the next comparison.
        let last = self.ring.heard_of(node);
        if last.is_some_and(|last| now - last < SPACING) {
            return;
        }
        let wall = self.wall(now);
        if about.incarnation > wall + MAX_AHEAD || about.incarnation + OLDEST < wall {
            return fault(self);
        }
        let Some(statement) = MemberStatement::read(&about.statement) else {
            return self.forged(from, Offence::Announcement, now);
        };
        let anchor = &self.config.anchor;
        let Ok(member) = anchor.admit_member(&statement, wall, &self.revocations) else {
            return fault(self);
        };
        if self.checks.len() >= self.config.limits.checks {
            return;
        }
        let word = Check {
            key: statement.key,
            message: about.message(self.overlay()),
            signature: announcement.signature,
        };
        let waiting = Waiting::Announcement {
            from,
            statement,
            announcement,
        };
        self.check(waiting, vec![word, member]);
    }

    pub(super) fn announcement_checked(
        &mut self,
        from: NodeId,
        statement: &MemberStatement,
        announcement: Announcement,
        failed: Option<usize>,
        now: Instant,
    ) {
        if failed.is_some() {
            return self.forged(from, Offence::Announcement, now);
        }
        let node = statement.node;
        let known = self.ring.incarnation(node);
        if known.is_some_and(|known| announcement.about.incarnation <= known) {
            return;
        }
        let leaving = announcement.about.leaving;
        let was = self.ring.member(node).is_some();
        let member = Member {
            announcement: announcement.clone(),
            serial: statement.serial,
            since: now,
        };
        if leaving {
            if self.ring.leave(node, member, now) {
                self.event(SuperNodeEvent::MemberLost(node));
                self.ring_changed(now);
            }
        } else {
            self.ring.insert(node, member);
            if !was {
                self.member_up(node, now);
                // A stranger may belong to another half: compare at once.
                if from == node
                    && matches!(self.state, State::Joined)
                    && let Some(link) = self.link_to(node)
                {
                    self.send_digest(link);
                }
            }
        }
        self.pass_on(from, node, announcement);
        self.table_grew(now);
    }

    /// News goes on to a few, so that all have it before the next comparison.
    fn pass_on(&mut self, from: NodeId, about: NodeId, announcement: Announcement) {
        if !matches!(self.state, State::Joined) {
            return;
        }
        let mut next = self.ring.successors(self.own, 2);
        let others: Vec<NodeId> = self.ring.others().collect();
        if !others.is_empty() {
            next.push(others[self.rng.below(others.len() as u32) as usize]);
        }
        let message = Message::Announcements {
            announcements: vec![announcement],
        };
        for node in next {
            if node != from
                && node != about
                && let Some(link) = self.link_to(node)
            {
                self.send_link(link, &message);
            }
        }
    }

    fn member_up(&mut self, node: NodeId, now: Instant) {
        let Some(member) = self.ring.member(node) else {
            return;
        };
        let url = member.announcement.about.url.clone();
        self.event(SuperNodeEvent::MemberUp { node, url });
        let few = self.ring.others().count() <= self.config.limits.mesh;
        if matches!(self.state, State::Joined) && few && self.own < node {
            self.dial(node, now);
        }
        self.ring_changed(now);
    }

    /// A member is gone: by own evidence, never by hearsay.
    pub(super) fn lose(&mut self, node: NodeId, now: Instant) {
        let incarnation = self.ring.incarnation(node);
        if !self.ring.lose(node, now) {
            return;
        }
        self.close_links(node);
        self.event(SuperNodeEvent::MemberLost(node));
        if let Some(incarnation) = incarnation {
            self.send_all(&Message::Lost { node, incarnation });
        }
        self.searches_lost(node, now);
        self.guard_soon(now);
        self.ring_changed(now);
    }

    pub(super) fn ring_changed(&mut self, now: Instant) {
        if matches!(self.state, State::Joined) {
            self.sync_soon(now);
        }
    }

    /// One round of anti-entropy: a random member, and one that was lost or never seen.
    pub(super) fn round(&mut self, now: Instant) {
        let jitter = self.rng.below(ROUND.as_millis() as u32 / 4);
        let next = ROUND + Duration::from_millis(u64::from(jitter));
        self.timers.set(now + next, Timer::Round);
        self.ring.forget_old(now);
        let others: Vec<NodeId> = self.ring.others().collect();
        if others.len() <= self.config.limits.mesh {
            for &node in &others {
                self.dial(node, now);
            }
        }
        if !others.is_empty() {
            let node = others[self.rng.below(others.len() as u32) as usize];
            match self.link_to(node) {
                Some(link) => self.send_digest(link),
                None => self.dial(node, now),
            }
        }
        let mut strangers: Vec<NodeId> = self.ring.lost().collect();
        let seeds = self.seeds.iter().map(|seed| seed.node);
        strangers.extend(seeds.filter(|&seed| self.ring.incarnation(seed).is_none()));
        strangers.retain(|&node| node != self.own);
        if !strangers.is_empty() {
            let node = strangers[self.rng.below(strangers.len() as u32) as usize];
            match self.link_to(node) {
                Some(link) => self.greet(link),
                None => self.dial(node, now),
            }
        }
    }

    /// A revocation list from the driver or another super node.
    pub(super) fn revocations_offered(&mut self, from: Option<NodeId>, list: RevocationList) {
        if list.number() <= self.revocations.number() {
            return;
        }
        match self.config.anchor.admit_revocations(&list) {
            Ok(check) => self.check(Waiting::Revocations(from, list), vec![check]),
            Err(_) => self.revocations_refused(from),
        }
    }

    pub(super) fn revocations_refused(&mut self, from: Option<NodeId>) {
        if let Some(from) = from {
            self.misbehaved(Offender::SuperNode(from), Offence::Revocations);
        }
    }

    /// A verified list counts at once: for links, members and associations.
    pub(super) fn revocations_checked(&mut self, list: RevocationList, now: Instant) {
        if list.number() <= self.revocations.number() {
            return;
        }
        let bytes = list.to_bytes();
        self.send_all(&Message::Revocations {
            list: bytes.clone(),
        });
        self.revocations = list.clone();
        self.event(SuperNodeEvent::Revocations(list));
        let revoked = self
            .ring
            .members()
            .filter(|(node, member)| *node != self.own && self.revocations.contains(member.serial));
        for node in revoked.map(|(node, _)| node).collect::<Vec<_>>() {
            self.lose(node, now);
        }
        let peers = self.peers.values();
        let revoked = peers.filter(|peer| self.revocations.contains(peer.serial));
        for node in revoked.map(|peer| peer.node).collect::<Vec<_>>() {
            self.close_links(node);
        }
        let wall = self.wall(now);
        self.store.revoke(&self.revocations, wall);
        self.associations_revoked(&bytes, now);
    }
}
