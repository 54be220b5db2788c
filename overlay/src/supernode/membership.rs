//! Who is a member: what super nodes say of themselves, and who is revoked.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Check, MemberStatement, NodeId, RevocationList};
use machine::Instant;

use super::reaching::ENOUGH;
use super::ring::{FURTHEST, Member, REPLICAS};
use super::{Offence, Offender, State, SuperNode, SuperNodeEvent, Waiting};
use crate::LinkId;
use crate::peer::{Announcement, Event, Message};
use crate::record::MAX_AHEAD;

/// Announcements older than this are no longer believed, in milliseconds.
pub(super) const OLDEST: u64 = 8 * 24 * 3600 * 1_000;
/// How often one member's word is taken in: each costs every member two verifications.
const SPACING: Duration = Duration::from_secs(1);
/// How many of the latest words are remembered for that.
const HEARD: usize = 256;
const MAX_TEXT: usize = 255;
/// So many times the usual signatures may wait at a newcomer.
const NEWCOMER: usize = 16;

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
            let incarnation = announcement.about.incarnation;
            if self.ring.former(node).is_some() && self.ring.incarnation(node) >= Some(incarnation)
            {
                self.greet_lost(link, node, now);
                self.take_back(node, now);
            } else {
                self.consider(node, announcement, self.own, now);
            }
        }
        match &mut self.state {
            State::Joining(join) if joining => {
                join.rivals.insert(node);
            }
            State::Joined if joining && self.ring.is_partial() => self.guides_asked(link),
            State::Joined if joining => {
                // It asks one of those whom it greets for what it lacks.
                self.send_size(link);
                let at = self.latest(now);
                self.send_digest_at(link, at);
                // They are in the table still.
                let suspected = self.suspected();
                self.inform(node, suspected, now);
            }
            State::Joining(join) => {
                join.rivals.remove(&node);
            }
            State::Joined | State::Leaving | State::Left => {}
        }
    }

    /// Makes the cheap checks of an announcement that is news, and asks for the others.
    pub(super) fn consider(
        &mut self,
        from: NodeId,
        announcement: Announcement,
        until: NodeId,
        now: Instant,
    ) {
        let about = &announcement.about;
        let fault = |node: &mut Self| {
            node.misbehaved(Offender::SuperNode(from), Offence::Announcement);
        };
        let too_long = about.quic.len() > MAX_TEXT || about.url.len() > MAX_TEXT;
        if too_long || about.reach > FURTHEST {
            return self.forged(from, Offence::Announcement, now);
        }
        let Some(node) = about.node() else {
            return self.forged(from, Offence::Announcement, now);
        };
        if node == self.own {
            return self.own_word_came(about.incarnation, now);
        }
        if self.ring.known(node).is_none() && !self.is_wanted(from, node, about.reach) {
            return;
        }
        let known = self.ring.known(node);
        if let Some(known) = known
            && about.incarnation <= known.incarnation()
        {
            let current = about.incarnation == known.incarnation();
            let former = self
                .ring
                .former(node)
                .filter(|_| current && until == self.own);
            if let Some(proof) = former.and_then(|former| former.proof.clone()) {
                // Out of a table that is behind.
                self.inform(from, vec![Event::Gone(proof)], now);
                self.take_back(node, now);
            } else if current {
                self.spread_known(node, false, until, now);
            }
            return;
        }
        // What is left out is made up for by the next comparison.
        let last = self.heard.get(&node);
        if last.is_some_and(|last| now - *last < SPACING) {
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
        // A newcomer has asked for the whole table.
        let many = match self.state {
            State::Joining(_) => NEWCOMER,
            State::Joined | State::Leaving | State::Left => 1,
        };
        if self.checks.len() >= many * self.config.limits.checks {
            return;
        }
        let word = Check {
            key: statement.key,
            message: about.message(self.overlay()),
            signature: announcement.signature,
        };
        let known = known.map(|known| &known.announcement().about.statement);
        let checks = if known == Some(&about.statement) {
            vec![word]
        } else {
            vec![word, member]
        };
        let waiting = Waiting::Announcement {
            from,
            statement,
            announcement,
            until,
        };
        self.check(waiting, checks);
    }

    /// Whether a member of which nothing is known belongs into the table.
    fn is_wanted(&mut self, from: NodeId, node: NodeId, reach: u8) -> bool {
        if self.ring.window().covers(node) || self.resolving.awaits(node) {
            return true;
        }
        // Whoever has friends shall not make guides of them.
        let few = self.ring.guides().count() < ENOUGH;
        self.ring.wants(node, reach, self.config.limits.table)
            && (few && node == from || self.resolving.may_name(from))
    }

    pub(super) fn announcement_checked(
        &mut self,
        from: NodeId,
        statement: &MemberStatement,
        (announcement, until): (Announcement, NodeId),
        failed: Option<usize>,
        now: Instant,
    ) {
        if failed.is_some() {
            return self.forged(from, Offence::Announcement, now);
        }
        let node = statement.node;
        let (said, known) = (announcement.about.incarnation, self.ring.incarnation(node));
        if known == Some(said) {
            // It came twice, the second time with an arc perhaps.
            return self.spread_known(node, false, until, now);
        }
        if known.is_some_and(|known| said < known) {
            return;
        }
        if self.heard.len() >= HEARD {
            self.heard.retain(|_, last| now - *last < SPACING);
        }
        if self.heard.len() >= HEARD {
            self.heard.pop_first();
        }
        self.heard.insert(node, now);
        let was = self.ring.member(node).is_some();
        self.lives_on(node, now);
        let member = self.interned(Member::new(statement, announcement.clone()));
        if !self
            .ring
            .wants(node, member.reach(), self.config.limits.table)
        {
            self.resolving.acquaint(member, now);
            if self.ring.forget(node) {
                self.event(SuperNodeEvent::MemberLost(node));
            }
            return;
        }
        self.ring.insert(member);
        if !was {
            self.member_up(node, now);
            // A stranger may belong to another half: compare at once.
            if from == node
                && matches!(self.state, State::Joined)
                && let Some(link) = self.link_to(node)
            {
                let at = self.latest(now);
                self.send_digest_at(link, at);
            }
        }
        // Who knows a part of the ring only has others tell all.
        let direct = from == node && until == self.own && announcement.about.reach == 0;
        if direct {
            self.spread_direct(announcement, now);
        } else {
            self.spread(Event::Up(announcement), until, now);
        }
        self.table_grew(now);
    }

    pub(super) fn interned(&self, member: Member) -> Arc<Member> {
        match &self.interner {
            Some(interner) => interner.intern(member),
            None => Arc::new(member),
        }
    }

    pub(super) fn member_up(&mut self, node: NodeId, now: Instant) {
        let Some(member) = self.ring.member(node) else {
            return;
        };
        let url = member.url().into();
        self.event(SuperNodeEvent::MemberUp { node, url });
        if matches!(self.state, State::Joined) && self.is_small() && self.own < node {
            self.dial(node, now);
        }
        if self.concerns(node) {
            self.ring_changed(now);
        }
    }

    /// Whether a member is so near that who keeps what changes with it.
    pub(super) fn concerns(&self, node: NodeId) -> bool {
        self.ring.are_near(self.own, node, 2 * REPLICAS)
    }

    pub(super) fn ring_changed(&mut self, now: Instant) {
        if matches!(self.state, State::Joined) {
            self.sync_soon(now);
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
        let revoked = self.ring.members().filter(|member| {
            member.node() != self.own && self.revocations.contains(member.serial())
        });
        for node in revoked.map(|member| member.node()).collect::<Vec<_>>() {
            self.expel(node, now);
        }
        let peers = self.peers.values();
        let revoked = peers.filter(|peer| self.revocations.contains(peer.serial));
        for node in revoked.map(|peer| peer.node).collect::<Vec<_>>() {
            self.close_links(node);
        }
        let wall = self.wall(now);
        self.store.revoke(&self.revocations, wall);
        self.associations_revoked(&bytes);
    }
}
