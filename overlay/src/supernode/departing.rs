//! How a member's life ends in the eyes of the others.
//!
//! Whoever leaves says so. A crash is seen by the neighbours on the ring, who sign what they say: they alone may report
//! it, and a report is only a suspicion. The member hears of it, too, and lives on by a later announcement; if none comes
//! in time it is out of the table.

use alloc::vec::Vec;
use core::time::Duration;

use credential::{Check, NodeId, Signature};
use machine::Instant;

use super::{Awaited, Offence, Offender, State, SuperNode, SuperNodeEvent, Timer, Waiting};
use crate::peer::{Departure, Event, Gone, Message, Part};
use crate::record::MAX_AHEAD;

/// How many members may lie between one and those who may report its loss.
const NEAR: usize = 16;
/// How long a member has to refute its loss, in a small ring and in one where news travel longer.
const REFUTING: Duration = Duration::from_secs(2);
const FAR: Duration = Duration::from_secs(10);
/// How long nobody believes a reporter what was refuted, and how many such are remembered.
const REPEATED: Duration = Duration::from_secs(600);
const REFUTED: usize = 4_096;
/// When all have made up their minds about a report.
const SETTLED: Duration = Duration::from_secs(15);
/// How often super nodes that are no neighbours make a member say that it lives.
const SPACED: Duration = Duration::from_secs(2);
/// How much later each member between lets another one report a loss.
const TURN: Duration = Duration::from_millis(500);
/// How many members may be suspected at one time.
const SUSPECTS: usize = 65_536;
/// How long a member that could not be reached is asked last.
const AVOIDED: Duration = Duration::from_secs(60);

/// A member that somebody has reported lost.
#[derive(Debug)]
pub(super) struct Suspicion {
    departure: Departure,
    until: Instant,
}

impl SuperNode {
    /// The date for comparisons that nothing is left out of.
    pub(super) fn latest(&self, now: Instant) -> u64 {
        self.wall(now) + MAX_AHEAD
    }

    /// A member can't be reached. Near the ring or in a small one that is evidence enough; far off, its neighbours look.
    pub(super) fn lose(&mut self, node: NodeId, now: Instant) {
        self.resolving.stranger_lost(node);
        let Some(member) = self.ring.member(node) else {
            return;
        };
        let incarnation = member.incarnation();
        self.close_links(node);
        self.searches_lost(node, now);
        self.untold(node, now);
        if !self.ring.window().covers(node) {
            // Of a guide that is gone nothing more is heard.
            self.ring.forget(node);
            return self.event(SuperNodeEvent::MemberLost(node));
        }
        if !self.is_small() && !self.ring.are_near(self.own, node, NEAR) {
            self.avoided.insert(node, now + AVOIDED);
            let message = Message::Doubt { node, incarnation };
            let mut neighbours = self.ring.successors(node, 1);
            neighbours.extend(self.ring.predecessors(node, 1));
            for neighbour in neighbours {
                self.send_peer(neighbour, &message, now);
            }
            return;
        }
        // What somebody has reported already is proof enough.
        let proof = self
            .suspects
            .remove(&node)
            .map(|suspicion| suspicion.departure);
        let reported = proof.is_some();
        self.remove(node, false, proof, (self.wall(now), now));
        if reported {
            return;
        }
        // Its successor reports it, who watches it; the others do if nothing is heard of it in time, the nearer the sooner.
        let apart = self.ring.apart(self.own, node) as u32;
        let watches = self.ring.successors(node, 1).contains(&self.own);
        let patience = if watches || self.is_small() {
            Duration::ZERO
        } else {
            self.travel()
        };
        self.timers
            .set(now + patience + TURN * apart, Timer::Report(node));
    }

    /// Nobody nearer has reported a member that was lost here.
    pub(super) fn report_due(&mut self, node: NodeId, now: Instant) {
        let at = self.wall(now);
        if let Some(former) = self.ring.former(node)
            && !former.left
            && former.proof.is_none()
        {
            let (incarnation, reporter) = (former.member.incarnation(), Some(self.own));
            self.report(Gone {
                node,
                incarnation,
                at,
                reporter,
            });
        }
    }

    /// Takes a member back that was lost here and to nobody else, since others have gone on with it.
    pub(super) fn take_back(&mut self, node: NodeId, now: Instant) {
        let own = Some(self.own);
        let Some(former) = self.ring.former(node) else {
            return;
        };
        let proof = former.proof.as_ref();
        let alone = !former.left && proof.is_none_or(|proof| proof.gone.reporter == own);
        if !alone || now - former.since < SETTLED {
            return;
        }
        let member = former.member.clone();
        self.ring.insert(member);
        self.member_up(node, now);
    }

    /// All reports that have not been refuted yet.
    pub(super) fn suspected(&self) -> Vec<Event> {
        let suspicions = self.suspects.values();
        let events = suspicions.map(|suspicion| Event::Gone(suspicion.departure.clone()));
        events.collect()
    }

    /// The report that a member is suspected by.
    pub(super) fn suspicion(&self, node: NodeId) -> Option<Departure> {
        Some(self.suspects.get(&node)?.departure.clone())
    }

    fn report(&mut self, gone: Gone) {
        let message = gone.message(self.overlay());
        self.sign(Awaited::Departure(gone), message);
    }

    /// Takes a member out of the table.
    fn remove(&mut self, node: NodeId, left: bool, proof: Option<Departure>, at: (u64, Instant)) {
        let near = self.concerns(node);
        if self.ring.remove(node, left, proof, at) {
            self.avoided.remove(&node);
            self.event(SuperNodeEvent::MemberLost(node));
            self.searches_lost(node, at.1);
            self.guard_soon(at.1);
            if near {
                self.ring_changed(at.1);
            }
        }
    }

    /// A revoked member is out at once: all hear of the list.
    pub(super) fn expel(&mut self, node: NodeId, now: Instant) {
        self.close_links(node);
        self.suspects.remove(&node);
        self.remove(node, true, None, (self.wall(now), now));
    }

    /// Says that it leaves.
    pub(super) fn announce_leaving(&mut self, now: Instant) {
        let Some(announcement) = &self.announcement else {
            return self.left();
        };
        self.report(Gone {
            node: self.own,
            incarnation: announcement.about.incarnation,
            at: self.wall(now),
            reporter: None,
        });
    }

    pub(super) fn departure_signed(&mut self, gone: Gone, signature: Signature, now: Instant) {
        let departure = Departure { gone, signature };
        let event = Event::Gone(departure.clone());
        if gone.node == self.own {
            self.take_leave(&event, now);
            self.spread(event, self.own, now);
            self.news_due(now);
            return self.left();
        }
        // It may be back already.
        let Some(former) = self.ring.former_mut(gone.node) else {
            return;
        };
        if former.member.incarnation() != gone.incarnation {
            return;
        }
        former.proof.get_or_insert(departure);
        if let Some(link) = self.link_to(gone.node) {
            // It is there again: let it say so.
            return self.greet_lost(link, gone.node, now);
        }
        if self.ring.are_near(self.own, gone.node, NEAR) {
            self.spread(event, self.own, now);
        }
    }

    /// Tells those who may report its loss, before their links end, that it leaves.
    fn take_leave(&mut self, event: &Event, now: Instant) {
        let mut near = self.ring.successors(self.own, NEAR);
        near.extend(self.ring.predecessors(self.own, NEAR));
        for node in near {
            if self.ready.contains_key(&node) {
                self.inform(node, alloc::vec![event.clone()], now);
            }
        }
    }

    /// Tells a super node that it was held lost, in the own name, since it may not know who said so first.
    pub(super) fn greet_lost(&mut self, link: crate::LinkId, node: NodeId, now: Instant) {
        let Some(former) = self.ring.former(node) else {
            return;
        };
        if former.left {
            return;
        }
        let reporter = Some(self.own);
        match &former.proof {
            Some(proof) if proof.gone.reporter == reporter => {
                let event = Event::Gone(proof.clone());
                let parts = alloc::vec![Part {
                    until: node,
                    events: alloc::vec![event],
                }];
                self.send_link(link, &Message::News { parts });
            }
            Some(_) | None => {
                let (incarnation, at) = (former.member.incarnation(), self.wall(now));
                if let Some(former) = self.ring.former_mut(node) {
                    former.proof = None;
                }
                self.report(Gone {
                    node,
                    incarnation,
                    at,
                    reporter,
                });
            }
        }
    }

    /// Makes the cheap checks of a departure that is news, and asks for the other.
    pub(super) fn departed(
        &mut self,
        from: NodeId,
        departure: Departure,
        until: NodeId,
        now: Instant,
    ) {
        let gone = departure.gone;
        let known = if gone.node == self.own {
            self.incarnation()
        } else {
            self.ring.incarnation(gone.node)
        };
        if known != Some(gone.incarnation) || gone.reporter == Some(gone.node) {
            return;
        }
        // What was told to this node alone and is young is on its way to all others already, if not by one who knows a part of
        // the ring: he has this node tell them.
        let young = self.wall(now).saturating_sub(self.young());
        let entrusted = self.ring.known(from).is_some_and(|from| from.reach() > 0);
        let until = if until == self.own && gone.at >= young && !entrusted {
            self.own.next()
        } else {
            until
        };
        let former = self.ring.former(gone.node);
        if former.is_some_and(|former| former.left) && gone.reporter.is_some() {
            // Its own word is on its way to all already.
            return;
        }
        let told = former.is_some_and(|former| former.left || former.proof.is_some());
        if told || (self.suspects.contains_key(&gone.node) && gone.reporter.is_some()) {
            return self.spread_known(gone.node, true, until, now);
        }
        if gone.at > self.latest(now) {
            return self.misbehaved(Offender::SuperNode(from), Offence::Announcement);
        }
        let signer = gone.reporter.unwrap_or(gone.node);
        let refuted = self.refuted.get(&(signer, gone.node));
        if signer == self.own || refuted.is_some_and(|last| now - *last < REPEATED) {
            return;
        }
        let inside = self.ring.window().covers(signer);
        let far = if inside {
            !self.ring.are_near(signer, gone.node, NEAR)
        } else {
            !self.ring.seem_near(signer, gone.node, NEAR as u64)
        };
        let spaced = self.refuted.values().all(|last| now - *last >= SPACED);
        if far && !(gone.node == self.own && from == signer && spaced) {
            return;
        }
        let known = self.ring.known(signer);
        let known = known.or_else(|| self.resolving.stranger(signer));
        let Some(statement) = known.and_then(|known| known.statement()) else {
            if !inside {
                self.ask_word(from, signer);
            }
            return;
        };
        if self.checks.len() >= self.config.limits.checks {
            return;
        }
        let check = Check {
            key: statement.key,
            message: gone.message(self.overlay()),
            signature: departure.signature,
        };
        let waiting = Waiting::Departure {
            from,
            departure,
            until,
        };
        self.check(waiting, alloc::vec![check]);
    }

    pub(super) fn departure_checked(
        &mut self,
        from: NodeId,
        departure: Departure,
        until: NodeId,
        failed: Option<usize>,
        now: Instant,
    ) {
        if failed.is_some() {
            return self.forged(from, Offence::Announcement, now);
        }
        let gone = departure.gone;
        let Some(reporter) = gone.reporter else {
            if self.lives(&gone) {
                self.suspects.remove(&gone.node);
                self.remove(gone.node, true, Some(departure.clone()), (gone.at, now));
                self.spread(Event::Gone(departure), until, now);
                self.table_grew(now);
            }
            return;
        };
        if gone.node == self.own {
            return self.refute(reporter, gone.incarnation, now);
        }
        if let Some(former) = self.ring.former_mut(gone.node)
            && former.member.incarnation() == gone.incarnation
            && former.proof.is_none()
        {
            // It was lost here, too; somebody nearer has reported it.
            former.proof = Some(departure.clone());
            return self.spread(Event::Gone(departure), until, now);
        }
        if !self.lives(&gone)
            || self.suspects.contains_key(&gone.node)
            || self.suspects.len() >= SUSPECTS
        {
            return;
        }
        // It must hear of it to refute it.
        let mut neighbours = self.ring.successors(gone.node, 1);
        neighbours.extend(self.ring.predecessors(gone.node, 1));
        if self.ready.contains_key(&gone.node) || neighbours.contains(&self.own) {
            self.inform(gone.node, alloc::vec![Event::Gone(departure.clone())], now);
        }
        let patience = if self.is_small() { REFUTING } else { FAR };
        let suspicion = Suspicion {
            departure: departure.clone(),
            until: now + patience,
        };
        self.suspects.insert(gone.node, suspicion);
        self.timers.set(now + patience, Timer::Suspicion(gone.node));
        self.spread(Event::Gone(departure), until, now);
    }

    fn lives(&self, gone: &Gone) -> bool {
        let member = self.ring.member(gone.node);
        member.is_some_and(|member| member.incarnation() == gone.incarnation)
    }

    /// Nothing was heard of a member that was reported lost.
    pub(super) fn suspicion_due(&mut self, node: NodeId, now: Instant) {
        let suspicion = self.suspects.get(&node);
        if suspicion.is_none_or(|suspicion| now < suspicion.until) {
            return;
        }
        let Some(suspicion) = self.suspects.remove(&node) else {
            return;
        };
        let departure = suspicion.departure;
        if self.lives(&departure.gone) {
            self.close_links(node);
            let at = (departure.gone.at, now);
            self.remove(node, false, Some(departure), at);
        }
    }

    /// It lives, and says so.
    fn refute(&mut self, reporter: NodeId, incarnation: u64, now: Instant) {
        if matches!(self.state, State::Joined) && self.incarnation() == Some(incarnation) {
            self.note_refuted(reporter, self.own, now);
            self.announce(now);
        }
    }

    fn note_refuted(&mut self, reporter: NodeId, node: NodeId, now: Instant) {
        if self.refuted.len() >= REFUTED {
            self.refuted.retain(|_, last| now - *last < REPEATED);
        }
        if self.refuted.len() >= REFUTED {
            self.refuted.pop_first();
        }
        self.refuted.insert((reporter, node), now);
    }

    /// A member has said something later: whoever reported its loss was wrong.
    pub(super) fn lives_on(&mut self, node: NodeId, now: Instant) {
        self.avoided.remove(&node);
        let suspicion = self.suspects.remove(&node);
        if let Some(reporter) = suspicion.and_then(|suspicion| suspicion.departure.gone.reporter) {
            self.note_refuted(reporter, node, now);
        }
    }

    /// Whether a member is to be asked after all others.
    pub(super) fn is_doubtful(&self, node: NodeId, now: Instant) -> bool {
        let avoided = self.avoided.get(&node).is_some_and(|until| now < *until);
        avoided || self.suspects.contains_key(&node)
    }
}
